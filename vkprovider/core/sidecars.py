"""Which container is a sidecar, by which rule, and in which order containers start and stop.

Two questions are kept apart, as systemd keeps After= from Requires=: who waits for whom (``start_waves`` and
``stop_waves``), and who keeps the pod alive (``Role.keeps_alive``). The rules stand in docs/reference/sidecars.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from vkprovider.model.container import Container, EnvVar
from vkprovider.model.pod import Pod

PRIORITY_LIMIT = 1000


class Kind(StrEnum):
    """The kinds of container of docs/reference/sidecars.md. A job sidecar is one for the end of the pod only."""

    INIT = "init"
    NATIVE = "native sidecar"
    MARKED = "marked sidecar"
    APP = "app"
    JOB = "job sidecar"
    EPHEMERAL = "ephemeral container"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """One container's part in its pod. ``why`` names the rule that gave it its kind, for people to read."""

    container: Container
    kind: Kind
    why: str
    launch_priority: int | None = None
    exit_priority: int | None = None
    ignore_ready: bool = False
    ignore_exit_code: bool = False

    @property
    def name(self) -> str:
        return self.container.name

    @property
    def sidecar(self) -> bool:
        """Started before the apps, restarted whatever the pod's policy, stopped after the apps."""
        return self.kind in (Kind.NATIVE, Kind.MARKED)

    @property
    def regular(self) -> bool:
        """Declared in ``spec.containers``."""
        return self.kind in (Kind.MARKED, Kind.APP, Kind.JOB)

    @property
    def keeps_alive(self) -> bool:
        """Whether the pod goes on as long as this container does."""
        return self.kind is Kind.APP

    @property
    def stops_with_apps(self) -> bool:
        return self.kind in (Kind.APP, Kind.INIT, Kind.EPHEMERAL)

    @property
    def field_path(self) -> str:
        """Where the container stands in the spec, as events name it."""
        section = "ephemeralContainers" if self.kind is Kind.EPHEMERAL else "initContainers"
        return f"spec.{'containers' if self.regular else section}{{{self.name}}}"


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """Every container of a pod with its role: ``inits`` (plain and native) in list order, then the regular ones, then
    those that were added to the running pod for debugging.

    ``ignored`` holds a sentence per mark or switch that has no effect: (field path, event reason, message).
    """

    inits: tuple[Role, ...]
    regulars: tuple[Role, ...]
    ephemerals: tuple[Role, ...] = ()
    ignored: tuple[tuple[str, str, str], ...] = ()

    @property
    def all(self) -> tuple[Role, ...]:
        return self.inits + self.regulars + self.ephemerals

    @property
    def marked(self) -> tuple[Role, ...]:
        return tuple(r for r in self.regulars if r.kind is Kind.MARKED)

    @property
    def apps(self) -> tuple[Role, ...]:
        """The regular containers that start in their normal place: apps and job sidecars."""
        return tuple(r for r in self.regulars if r.kind is not Kind.MARKED)

    def marked_waves(self) -> tuple[tuple[Role, ...], ...]:
        """Marked sidecars in start order; a wave begins when the one before has *started*."""
        if all(r.launch_priority is None for r in self.marked):
            return _one_each(self.marked)
        return _by_priority(self.marked, lambda r: r.launch_priority)

    def app_waves(self) -> tuple[tuple[Role, ...], ...]:
        """Apps by launch priority, largest first. Without priorities they are one wave."""
        return _by_priority(self.apps, lambda r: r.launch_priority)

    def stop_waves(self) -> tuple[tuple[Role, ...], ...]:
        """Who is stopped together, in which order: apps first, then the sidecars in the reverse of their start.

        A plain init container that still runs goes with the apps, as ephemeral ones do. A job sidecar follows the apps.
        """
        natives = tuple(r for r in self.inits if r.kind is Kind.NATIVE)
        job = tuple(r for r in self.regulars if r.kind is Kind.JOB)
        if any(r.exit_priority is not None for r in self.marked):
            marked = _by_priority(self.marked, lambda r: r.exit_priority)
        else:
            marked = _one_each(reversed(self.marked))
        first = tuple(r for r in self.all if r.stops_with_apps)
        waves = (*_by_priority(first, lambda r: r.exit_priority), job, *marked, *_one_each(reversed(natives)))
        return tuple(wave for wave in waves if wave)


def _one_each(roles: Iterable[Role]) -> tuple[tuple[Role, ...], ...]:
    return tuple((role,) for role in roles)


def _by_priority(roles: Iterable[Role], priority: Callable[[Role], int | None]) -> tuple[tuple[Role, ...], ...]:
    """Waves of equal priority, larger first; list order within a wave. No priority counts as 0."""
    waves: dict[int, list[Role]] = {}
    for role in roles:
        waves.setdefault(priority(role) or 0, []).append(role)
    return tuple(tuple(waves[p]) for p in sorted(waves, reverse=True))


# Literal env values that make a regular container a sidecar: (name, value, kind, what the value means).
_MARKS: tuple[tuple[str, str, Kind], ...] = (
    ("__IS_SIDECAR__", "true", Kind.MARKED),
    ("ECI_SIDECAR_CONTAINER", "true", Kind.MARKED),
    ("ECI_CONTAINER_TYPE", "sidecar", Kind.MARKED),
    ("KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", "true", Kind.JOB),
)


def classify(pod: Pod) -> Roles:
    """Give every container of the pod its role. Only literal env values count, never valueFrom or envFrom."""
    inits = tuple(_init_role(c) for c in pod.spec.init_containers)
    regulars = tuple(_regular_role(c) for c in pod.spec.containers)
    ephemerals = tuple(
        Role(container=c, kind=Kind.EPHEMERAL, why="ephemeral container: added to the pod while it ran")
        for c in pod.spec.ephemeral_containers
    )
    ignored = [note for c in pod.spec.containers for note in _bad_priorities(c)]
    if regulars and not any(r.keeps_alive for r in regulars):
        names = ", ".join(r.name for r in regulars)
        ignored.append(
            (
                "",
                "SidecarMarkIgnored",
                f"Every regular container is marked as a sidecar ({names}), so the pod would have no app: "
                "the marks are ignored and all of them are apps",
            )
        )
        why = "app: every regular container of the pod is marked as a sidecar, so the marks are ignored"
        regulars = tuple(msgspec.structs.replace(r, kind=Kind.APP, why=why) for r in regulars)
    return Roles(inits=inits, regulars=regulars, ephemerals=ephemerals, ignored=tuple(ignored))


def _init_role(container: Container) -> Role:
    native = container.restart_policy == "Always"
    return Role(
        container=container,
        kind=Kind.NATIVE if native else Kind.INIT,
        why="native sidecar: an init container with restartPolicy Always" if native else "init container",
        ignore_ready=_says(container, "__IGNORE_READY__", "true"),
    )


def _regular_role(container: Container) -> Role:
    kind, why = Kind.APP, "app: a regular container without a sidecar mark"
    for name, value, marks in _MARKS:
        if _says(container, name, value):
            kind, why = marks, f"{marks}: env {name}={value}"
            break
    return Role(
        container=container,
        kind=kind,
        why=why,
        launch_priority=_priority(container, "ECI_CONTAINER_LAUNCH_PRIORITY"),
        exit_priority=_priority(container, "ECI_CONTAINER_EXIT_PRIORITY"),
        ignore_ready=_says(container, "__IGNORE_READY__", "true"),
        ignore_exit_code=_says(container, "ECI_CONTAINER_IGNORE_EXIT_CODE", "true")
        or (kind is Kind.JOB and _says(container, "KRUISE_TERMINATE_SIDECAR_IGNORE_EXIT_CODE", "true")),
    )


def _literal(container: Container, name: str) -> str | None:
    """The literal value of an env variable; of several of that name the last one counts, as for the process."""
    last: EnvVar | None = None
    for variable in container.env:
        if variable.name == name:
            last = variable
    return last.value if last is not None and last.value_from is None else None


def _says(container: Container, name: str, value: str) -> bool:
    literal = _literal(container, name)
    return literal is not None and literal.strip().lower() == value


def _priority(container: Container, name: str) -> int | None:
    literal = _literal(container, name)
    try:
        number = int(literal) if literal is not None else None
    except ValueError:
        return None
    return number if number is not None and abs(number) <= PRIORITY_LIMIT else None


def _bad_priorities(container: Container) -> list[tuple[str, str, str]]:
    return [
        (
            f"spec.containers{{{container.name}}}",
            "SidecarMarkIgnored",
            f"{name}={_literal(container, name)!r} is not a whole number from -1000 to 1000 and is ignored",
        )
        for name in ("ECI_CONTAINER_LAUNCH_PRIORITY", "ECI_CONTAINER_EXIT_PRIORITY")
        if _literal(container, name) is not None and _priority(container, name) is None
    ]
