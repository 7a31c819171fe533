"""What of the machine is for pods: flags in the kubelet's syntax for what is kept from them, and for its devices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from vkprovider.config import ConfigError
from vkprovider.core.claims import in_units
from vkprovider.core.devices import NVIDIA_GPU, Device
from vkprovider.core.thresholds import DEFAULT_THRESHOLDS, Threshold, parse_thresholds
from vkprovider.errors import SpecError
from vkprovider.model import names
from vkprovider.model.create import DeviceMapping
from vkprovider.model.quantity import parse

RESERVABLE = ("cpu", "memory", "ephemeral-storage")
PRESSURE_SECONDS = 300.0  # evictionPressureTransitionPeriod
NO_GPUS = "none"

_DEVICE = re.compile(
    r"(?P<name>[^=]+)=(?P<source>/[^:*]+)(?::(?P<target>/[^:*]+))?(?::(?P<access>[rwm]{1,3}))?(?:\*(?P<users>\d{1,4}))?"
)
_DURATION = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


class NodeResources(msgspec.Struct, frozen=True, kw_only=True):
    """``reserved`` is kept from pods, in the scheduler's units. The node shows a pressure for ``pressure_seconds``
    after it was last seen. ``pod_max_pids`` is 0 for no limit; ``gpus`` are ids, None for those that are found.
    """

    reserved: Mapping[str, int] = {}
    eviction_hard: tuple[Threshold, ...] = parse_thresholds(DEFAULT_THRESHOLDS)
    pressure_seconds: float = PRESSURE_SECONDS
    pod_max_pids: int = 0
    devices: Mapping[str, tuple[Device, ...]] = {}
    gpus: tuple[str, ...] | None = None


class ResourceFlags(msgspec.Struct, frozen=True, kw_only=True):
    """As they were typed."""

    system_reserved: str = ""  # RESOURCE=QUANTITY[,RESOURCE=QUANTITY...]
    kube_reserved: str = ""
    eviction_hard: str | None = None  # None for the kubelet's own, "" for none
    eviction_pressure_transition_period: str = ""  # as Go writes durations: 90s, 1m30s
    pod_max_pids: int = 0
    device: tuple[str, ...] = ()  # each NAME=PATH[:PATH][:rwm][*USERS]
    nvidia_gpus: str = ""  # ID[,ID...] or none


def load_node_resources(flags: ResourceFlags) -> NodeResources:
    """Raises ConfigError, whose message names the flag."""
    reserved = Counter(_reserved("--system-reserved", flags.system_reserved))
    reserved.update(_reserved("--kube-reserved", flags.kube_reserved))
    try:
        thresholds = parse_thresholds(DEFAULT_THRESHOLDS if flags.eviction_hard is None else flags.eviction_hard)
    except SpecError as exc:
        raise ConfigError(f"--eviction-hard: {exc}") from exc
    if flags.pod_max_pids < 0:
        raise ConfigError(f"--pod-max-pids: {flags.pod_max_pids} is negative; 0 is no limit")
    period = duration("--eviction-pressure-transition-period", flags.eviction_pressure_transition_period)
    return NodeResources(
        reserved=reserved,
        eviction_hard=thresholds,
        pressure_seconds=PRESSURE_SECONDS if period is None else period,
        pod_max_pids=flags.pod_max_pids,
        devices=_devices(flags.device),
        gpus=_gpus(flags.nvidia_gpus),
    )


def duration(flag: str, given: str) -> float | None:
    """Seconds of a duration as Go writes it; None where none is given. Raises ConfigError."""
    if not given:
        return None
    parts = _DURATION.fullmatch(given)
    if parts is None:
        raise ConfigError(f"{flag}: {given!r} is not a duration such as 90s or 1m30s")
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return 3600 * hours + 60 * minutes + seconds


def pairs(flag: str, given: Iterable[str]) -> dict[str, str]:
    """Of the form KEY=VALUE,KEY=VALUE. Raises ConfigError."""
    found: dict[str, str] = {}
    for item in ",".join(given).split(","):
        key, equals, value = item.strip().partition("=")
        if key and equals:
            found[key] = value
        elif item.strip():
            raise ConfigError(f"{flag}: {item.strip()!r} is not of the form KEY=VALUE")
    return found


def _reserved(flag: str, given: str) -> dict[str, int]:
    reserved = {}
    for name, quantity in pairs(flag, (given,)).items():
        if name not in RESERVABLE:
            raise ConfigError(f"{flag}: {name!r} is none of {', '.join(RESERVABLE)}")
        try:
            if parse(quantity) < 0:
                raise ConfigError(f"{flag}: {name}: {quantity} is negative")
        except SpecError as exc:
            raise ConfigError(f"{flag}: {name}: {exc}") from exc
        reserved[name] = in_units(name, quantity)
    return reserved


def _devices(given: Iterable[str]) -> dict[str, tuple[Device, ...]]:
    devices: dict[str, tuple[Device, ...]] = {}
    for text in given:
        match = _DEVICE.fullmatch(text)
        if match is None:
            raise ConfigError(f"--device: {text!r} is not NAME=PATH[:PATH_INSIDE][:rwm][*USERS]")
        name, source = match["name"], match["source"]
        complaints = names.qualified(name)
        if "/" not in name or name.partition("/")[0].endswith("kubernetes.io"):
            complaints.append("must be a name of a domain of yours, as in example.com/fuse")
        for complaint in complaints:
            raise ConfigError(f"--device: {name!r}: {complaint}")
        file = DeviceMapping(source=source, target=match["target"] or source, access=match["access"] or "rwm")
        users = range(int(match["users"] or 1))
        if not users:
            raise ConfigError(f"--device: {name}: *0 leaves no device")
        devices[name] = (*devices.get(name, ()), *(Device(id=f"{source}#{user}", mapping=file) for user in users))
        _check_ids(name, devices[name])
    return devices


def _check_ids(name: str, devices: tuple[Device, ...]) -> None:
    if len({device.id for device in devices}) < len(devices):
        raise ConfigError(
            f"--device: {name}: the same path is given twice; *USERS says how many containers may share it"
        )
    if name == NVIDIA_GPU:
        raise ConfigError(f"--device: {name}: GPUs are found by themselves; --nvidia-gpus says which")


def _gpus(given: str) -> tuple[str, ...] | None:
    if not given:
        return None
    if given == NO_GPUS:
        return ()
    found = tuple(each.strip() for each in given.split(","))
    if not all(found) or len(set(found)) < len(found):
        raise ConfigError(f"--nvidia-gpus: {given!r} is not a list of indexes or UUIDs, each once, nor {NO_GPUS!r}")
    return found
