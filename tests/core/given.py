"""A small language for tests of the core: ``given(pod, containers...)`` builds a view, ``decide`` does the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from vkprovider.core.record import ImageReady, PodMemory, PodRecord
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.model.labels import spec_hash
from vkprovider.model.observed import ContainerState, PodObservation, Run, SandboxState
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ContainerID

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SANDBOX = ContainerID("sandbox-0")
MARK = {"name": "__IS_SIDECAR__", "value": "true"}


def at(seconds: float) -> datetime:
    """An instant, in seconds after T0."""
    return T0 + timedelta(seconds=seconds)


def container(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1.28", **fields}


def marked(name: str, **fields: Any) -> dict[str, Any]:
    return container(name, env=[MARK, *fields.pop("env", [])], **fields)


def native(name: str, **fields: Any) -> dict[str, Any]:
    return container(name, restartPolicy="Always", **fields)


def pod(*containers: dict[str, Any], inits: tuple[dict[str, Any], ...] = (), policy: str = "Never", **spec: Any) -> Pod:
    """A pod named default/p."""
    metadata = {"name": "p", "namespace": "default", "uid": "u"}
    body = {"containers": list(containers), "initContainers": list(inits), "restartPolicy": policy, **spec}
    return decode_pod({"metadata": metadata, "spec": body})


def deleted(of: Pod, grace: int = 30, when: float = 0) -> Pod:
    meta = msgspec.structs.replace(
        of.metadata, deletion_timestamp=at(when + grace), deletion_grace_period_seconds=grace
    )
    return msgspec.structs.replace(of, metadata=meta)


def sandbox(attempt: int = 0, *, ready: bool = True) -> SandboxState:
    return SandboxState(
        id=ContainerID(f"sandbox-{attempt}"), attempt=attempt, ready=ready, created_at=T0, ips=("10.0.0.7",)
    )


def state(
    of: Pod, name: str, run: Run = Run.RUNNING, *, attempt: int = 0, code: int = 0, start: float = 0, **more: Any
) -> ContainerState:
    """An instance of a container of the pod: running since ``start``, or ended at ``end`` with ``code``."""
    spec = next(c for c in of.spec.containers + of.spec.init_containers if c.name == name)
    ended = run is Run.EXITED
    end = more.pop("end", start + 1)
    fields: dict[str, Any] = {
        "id": ContainerID(f"{name}-{attempt}"),
        "name": name,
        "attempt": attempt,
        "sandbox_id": SANDBOX,
        "run": run,
        "created_at": at(start),
        "started_at": None if run is Run.CREATED else at(start),
        "finished_at": at(end) if ended else None,
        "exit_code": code,
        "image": spec.image,
        "image_id": "sha256:1",
        "spec_hash": spec_hash(spec),
    }
    return ContainerState(**(fields | more))


def pulled(of: Pod, *names: str, attempt: int = 1) -> PodMemory:
    """What is remembered once the images of the next instances are there."""
    specs = {c.name: c for c in of.spec.containers + of.spec.init_containers}
    images = {n: ImageReady(attempt=attempt, image=specs[n].image, image_id="sha256:2") for n in names}
    return PodMemory(volumes_ready=True, images=images)


def running(of: Pod, *names: str) -> tuple[ContainerState, ...]:
    return tuple(state(of, name) for name in names)


def exited(of: Pod, name: str, code: int = 0, **more: Any) -> ContainerState:
    return state(of, name, Run.EXITED, code=code, **more)


def given(of: Pod, *instances: ContainerState, when: float = 100, **more: Any) -> PodView:
    """A view with a ready sandbox, volumes and images present, at ``when`` seconds."""
    fields: dict[str, Any] = {
        "pod": of,
        "now": at(when),
        "settings": CoreSettings(node_name="node"),
        "observed": PodObservation(sandboxes=more.pop("sandboxes", (sandbox(),)), containers=tuple(instances)),
        "record": more.pop("record", PodRecord(start_time=T0, ips=("10.0.0.7",))),
        "memory": more.pop("memory", PodMemory(volumes_ready=True)),
    }
    return PodView(**(fields | more))
