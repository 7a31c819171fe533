"""Between vkprovider's words and Docker's JSON. Pure.

Creating follows cri-dockerd (core/container_create.go, core/helpers_linux.go, core/sandbox_helpers.go); where Docker's
defaults would make a container differ from a kubelet's, the default is overruled here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from vkprovider.core.image_names import full_repository, repository
from vkprovider.engine.mounts import mount_fields
from vkprovider.engine.runtimes import recursive_read_only
from vkprovider.model import labels as keys
from vkprovider.model.create import ContainerCreate, DeviceMapping, Limits, LogLimits, PortBinding
from vkprovider.model.engine import EngineInfo, ImageInfo, StoredImage
from vkprovider.model.observed import ContainerState, ContainerUser, PodObservation, Run, SandboxState
from vkprovider.model.refs import ContainerID, PodKey
from vkprovider.model.usage import RunningContainer

Json = Mapping[str, Any]

START_FAILED = 128  # containerd's exit code for a container that could not be started (reason StartError)
LOWEST_OOM_SCORE = -998  # a sandbox's (pkg/kubelet/qos/policy.go)

_NOBODY: Mapping[ContainerID, ContainerUser] = {}
_UPDATABLE = ("CpuShares", "CpuQuota", "CpuPeriod", "Memory", "MemorySwap")
_WHOSE = (keys.NODE, keys.TYPE, keys.POD_UID, keys.CONTAINER_NAME, keys.ATTEMPT)
_RUN = {
    "created": Run.CREATED,
    "running": Run.RUNNING,
    "restarting": Run.RUNNING,
    "paused": Run.PAUSED,
    "exited": Run.EXITED,
    "removing": Run.EXITED,  # both: the process is gone, the record not yet
    "dead": Run.EXITED,
}


# --- to the engine ----------------------------------------------------------------------------------------------


def create_body(spec: ContainerCreate, parent_cgroup: str = "") -> dict[str, Any]:
    """The body of ``POST /containers/create``. What is unset is left out, and the image's or engine's own holds."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": spec.labels,
        "Entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "Cmd": None if spec.args is None else list(spec.args),
        "Env": list(spec.env),
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "StopSignal": spec.stop_signal,
        "Hostname": spec.hostname,
        "ExposedPorts": {_port(port): {} for port in spec.ports},
        "Healthcheck": {"Test": ["NONE"]},  # probes decide, not the image
        "HostConfig": _host_config(spec, parent_cgroup),
    }
    return _given(body)


def _host_config(spec: ContainerCreate, parent_cgroup: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Mounts": mount_fields(spec.mounts),
        "GroupAdd": list(spec.groups),
        "DnsSearch": list(spec.dns_searches),
        "DnsOptions": list(spec.dns_options),
        "PortBindings": _port_bindings(spec.ports),
        "NetworkMode": spec.network,
        "IpcMode": spec.ipc,
        "PidMode": spec.pid,
        "UTSMode": spec.uts,
        "Runtime": spec.runtime,
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only_root,
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "SecurityOpt": list(spec.security_opts),
        "Sysctls": spec.sysctls,
        "Devices": [_device(device) for device in spec.devices],
        "DeviceRequests": [_gpus(spec.gpus)] if spec.gpus else [],
        "CgroupParent": parent_cgroup,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": log_config(spec.log_limits),
    }
    # Not left out where false: a daemon may be set up to put an init process into every container.
    paths: dict[str, Any] = {"MaskedPaths": [], "ReadonlyPaths": []} if spec.unmasked else {}
    return _given(config) | _limits(spec.limits) | paths | {"Init": False}


def log_config(limits: LogLimits) -> dict[str, Any]:
    """All is said, for what is not is as the daemon's own configuration has it."""
    sizes = {"max-size": str(limits.max_bytes), "max-file": str(limits.max_files)}
    return {"Type": "json-file", "Config": {**sizes, "compress": "false"}}


def _limits(limits: Limits) -> dict[str, Any]:
    config = {
        "CpuShares": limits.cpu_shares,
        "CpuQuota": limits.cpu_quota,
        "CpuPeriod": limits.cpu_period if limits.cpu_quota else 0,
        "Memory": limits.memory,
        "MemorySwap": limits.memory,  # memory and swap together: no swap
        "PidsLimit": limits.pids,
        "OomScoreAdj": limits.oom_score_adj,
    }
    return _given(config)


def update_body(limits: Limits) -> dict[str, Any]:
    """The body of ``POST /containers/{id}/update``. What is 0 is left as it is: a limit cannot be taken away."""
    fields = _limits(limits)
    return {name: fields[name] for name in _UPDATABLE if name in fields}


def _device(device: DeviceMapping) -> dict[str, str]:
    return {"PathOnHost": device.source, "PathInContainer": device.target, "CgroupPermissions": device.access}


def _gpus(ids: tuple[str, ...]) -> dict[str, Any]:
    """As ``docker run --gpus device=...`` asks for them."""
    return {"Driver": "nvidia", "DeviceIDs": list(ids), "Capabilities": [["gpu"]]}


def _port(port: PortBinding) -> str:
    return f"{port.container_port}/{port.protocol}"


def _port_bindings(ports: Iterable[PortBinding]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bindings.setdefault(_port(port), []).append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
    return bindings


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is unset. Empty arguments are not: beside an entrypoint they say that there are none."""
    return {name: value for name, value in fields.items() if value or (name == "Cmd" and value is not None)}


# --- from the engine --------------------------------------------------------------------------------------------


def instant(text: str | None) -> datetime | None:
    """A time as Docker writes it, RFC 3339 with nanoseconds; None for Go's zero time."""
    if not text or text.startswith("0001-01-01"):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def is_of_pod(labels: Mapping[str, str] | None) -> bool:
    return keys.decode(labels or {}) is not None


def same_instance(mine: Mapping[str, str], other: Mapping[str, str] | None) -> bool:
    """Whether two sets of labels name the same attempt of the same container of the same pod and node."""
    return other is not None and all(mine.get(key) == other.get(key) for key in _WHOSE)


def observation(seen: Iterable[Json], users: Mapping[ContainerID, ContainerUser] = _NOBODY) -> PodObservation:
    """What is seen of a pod: of each container the answer to inspect, or where there was none its line of the list;
    and as whom it runs.
    """
    sandboxes: list[SandboxState] = []
    containers: list[ContainerState] = []
    pod: PodKey | None = None
    for entry in seen:
        identity = keys.decode(_labels(entry))
        if identity is None:
            continue
        pod = PodKey(identity.pod_namespace, identity.pod_name)
        if identity.type == keys.SANDBOX_TYPE:
            sandboxes.append(_sandbox(entry, identity))
        else:
            container = _container(entry, identity)
            containers.append(msgspec.structs.replace(container, user=users.get(container.id)))
    return PodObservation(
        sandboxes=tuple(sorted(sandboxes, key=lambda s: (s.attempt, s.created_at), reverse=True)),
        containers=tuple(sorted(containers, key=lambda c: (c.attempt, c.created_at), reverse=True)),
        pod=pod,
    )


def running_containers(entries: Iterable[Json]) -> tuple[RunningContainer, ...]:
    """From the answer to ``GET /containers/json``."""
    found = ((entry, keys.decode(_labels(entry))) for entry in entries)
    return tuple(
        RunningContainer(
            id=ContainerID(entry["Id"]), identity=identity, created_at=_created(entry), image=entry.get("Image") or ""
        )
        for entry, identity in found
        if identity is not None
    )


def _labels(entry: Json) -> Mapping[str, str]:
    labels: Mapping[str, str] | None = entry["Config"]["Labels"] if "Config" in entry else entry["Labels"]
    return labels or {}


def _sandbox(entry: Json, identity: keys.ContainerIdentity) -> SandboxState:
    ips = tuple(addresses(entry))
    return SandboxState(
        id=ContainerID(entry["Id"]),
        attempt=identity.attempt,
        ready=_status(entry) == "running" and (bool(ips) or entry["HostConfig"].get("NetworkMode") == "host"),
        created_at=_created(entry),
        ips=ips,
        runtime=entry["HostConfig"].get("Runtime") or "",
    )


def addresses(entry: Json) -> Iterable[str]:
    """A container's own, from the answer to inspect or its line of the list."""
    networks: Mapping[str, Json] = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    for network in networks.values():
        yield from (network[key] for key in ("IPAddress", "GlobalIPv6Address") if network.get(key))


def _container(entry: Json, identity: keys.ContainerIdentity) -> ContainerState:
    state = entry["State"] if "Config" in entry else {}
    run, error = _run(state)
    ended = run is Run.EXITED
    started_at = instant(state.get("StartedAt"))
    return ContainerState(
        id=ContainerID(entry["Id"]),
        name=identity.name,
        attempt=identity.attempt,
        sandbox_id=identity.sandbox_id,
        run=run,
        created_at=_created(entry),
        started_at=started_at,
        finished_at=_finished(state, started_at) if ended else None,
        exit_code=START_FAILED if error else state["ExitCode"] if ended else 0,
        oom_killed=ended and state.get("OOMKilled", False),
        start_error=error,
        image=identity.image,
        image_id=entry["Image"] if state else entry["ImageID"],
        image_digest=identity.image_digest,
        backoff_seconds=identity.backoff_seconds,
        spec_hash=identity.hash,
        resources=keys.decode_resources(identity.resources),
        stop_signal=entry["Config"].get("StopSignal") or "" if state else "",
        pid=state.get("Pid", 0),
    )


def _finished(state: Json, started_at: datetime | None) -> datetime | None:
    """When it ended. Docker takes the start from its own clock once all is done, the end from the kernel's news: of a
    container that ends at once they come in the wrong order, by less than a millisecond.
    """
    finished_at = instant(state.get("FinishedAt"))
    return finished_at if finished_at is None or started_at is None else max(finished_at, started_at)


# Engines since 25 give a start up when the process that asked for it dies. Nothing is wrong with the container.
_GIVEN_UP = "context canceled"


def _run(state: Json) -> tuple[Run, str]:
    """How a container stands, and why its start failed. After a failed start Docker calls it created, as before."""
    if not state:
        return Run.UNKNOWN, ""
    run = _RUN.get(state["Status"], Run.UNKNOWN)
    if instant(state.get("StartedAt")) is None and run in (Run.CREATED, Run.EXITED):
        error = state.get("Error") or (f"start failed with code {state['ExitCode']}" if state["ExitCode"] else "")
        return (Run.EXITED, error) if error and _GIVEN_UP not in error else (Run.CREATED, "")
    return run, ""


def _status(entry: Json) -> str:
    status: str = entry["State"]["Status"] if "Config" in entry else entry["State"]
    return status


def _created(entry: Json) -> datetime:
    """Inspect tells the time in words, the list in whole seconds since 1970."""
    created = entry["Created"]
    if isinstance(created, int):
        return datetime.fromtimestamp(created, UTC)
    return instant(created) or datetime.fromtimestamp(0, UTC)


def knows_capabilities(api_version: str) -> bool:
    """Whether an engine of that API, 23.0 or newer, looks which capabilities there are (moby, oci/caps)."""
    return tuple(int(number) for number in api_version.split(".") if number.isdecimal()) >= (1, 42)


def engine_info(info: Json, api_version: str) -> EngineInfo:
    """From the answer to ``GET /info``."""
    return EngineInfo(
        version=info["ServerVersion"],
        api_version=api_version,
        os=info["OSType"],
        architecture=info["Architecture"],
        kernel=info["KernelVersion"],
        operating_system=info["OperatingSystem"],
        cpus=info["NCPU"],
        memory=info["MemTotal"],
        root_dir=info.get("DockerRootDir", ""),
        cgroup_driver=info.get("CgroupDriver", ""),
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        recursive_read_only=recursive_read_only(info),
        security=tuple(option.partition(",")[0].removeprefix("name=") for option in info.get("SecurityOptions") or ()),
    )


def image_info(image: Json, name: str) -> ImageInfo:
    """From the answer to ``GET /images/{name}/json``."""
    config: Json = image.get("Config") or {}
    return ImageInfo(
        id=image["Id"],
        size_bytes=image.get("Size", 0),
        digest=_digest(image.get("RepoDigests") or (), name),
        user=config.get("User") or "",
        env=tuple(config.get("Env") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        stop_signal=config.get("StopSignal") or "",
    )


def _digest(known: Sequence[str], name: str) -> str:
    """Of an image's digests the one that ``name`` asks for, or else one of its repository; "" where there are none."""
    digest, of = name.partition("@")[2], full_repository(repository(name))

    def fits(each: str) -> tuple[bool, bool]:
        there, _, its = each.partition("@")
        return its == digest, full_repository(there) == of

    return max(known, key=fits, default="")


def stored_images(images: Iterable[Json]) -> tuple[StoredImage, ...]:
    """From the answer to ``GET /images/json``. Engines before API 1.43 call what has no name "<none>:<none>"."""
    named = (
        ([name for key in ("RepoDigests", "RepoTags") for name in image.get(key) or () if "<none>" not in name], image)
        for image in images
    )
    return tuple(
        StoredImage(id=image["Id"], names=tuple(names), size_bytes=image["Size"]) for names, image in named if names
    )
