"""``/stats/summary``: the numbers of the node and its pods as JSON (k8s.io/kubelet/pkg/apis/stats/v1alpha1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from vkprovider.core.rates import cpu_of_all, memory_of_all, of_pod
from vkprovider.model.refs import PodUID
from vkprovider.model.usage import (
    ContainerDisk,
    ContainerUsage,
    DiskUsage,
    DiskUse,
    ProcessUsage,
    Usage,
    VolumeUse,
)
from vkprovider.server import summary_fields as fields
from vkprovider.server.summary_fields import Json


class Disks(msgspec.Struct, frozen=True, kw_only=True):
    """What a full summary has beside processors and memory."""

    usage: DiskUsage
    volumes: Mapping[PodUID, tuple[VolumeUse, ...]]


def summary(node: str, usage: Usage, disks: Disks | None) -> Json:
    """The answer; without ``disks`` that to ``only_cpu_and_memory=true``."""
    pods: dict[PodUID, list[ContainerUsage]] = {}
    for each in usage.containers.values():
        pods.setdefault(each.container.identity.pod_uid, []).append(each)
    return {
        "node": _node(node, usage, disks),
        "pods": [_pod(uid, usage, containers, disks) for uid, containers in pods.items()],
    }


def _node(node: str, usage: Usage, disks: Disks | None) -> Json:
    machine, at = usage.machine, usage.machine.at
    found: Json = {
        "nodeName": node,
        "systemContainers": [*_processes(usage.processes), _all_pods(usage)],
        "startTime": fields.time(machine.booted_at),
        "cpu": fields.cpu(at, machine.nanocores, machine.cpu),
        "memory": fields.memory(at, machine.memory, machine.capacity),
        "swap": fields.swap(at, machine.memory, machine.memory.swap_limit),
    }
    if disks is None:
        return found
    found |= {
        "network": fields.network(at, machine.network),
        "rlimit": {"time": fields.time(at), "maxpid": machine.threads_max, "curproc": machine.threads},
    }
    if machine.io_pressure is not None:
        found["io"] = {"time": fields.time(at), "psi": fields.psi(machine.io_pressure)}
    return found | _disks_of_node(disks.usage)


def _disks_of_node(disks: DiskUsage) -> Json:
    found: Json = {}
    if disks.node is not None:
        found["fs"] = fields.file_system(disks.at, disks.node)
    if (engine := disks.engine) is not None:
        written = sum(disk.root.used for disk in disks.containers.values() if disk.root is not None)
        found["runtime"] = {
            name: fields.file_system(disks.at, engine, DiskUse(used=used, inodes=engine.inodes_used))
            for name, used in (("imageFs", disks.images), ("containerFs", written))
        }
    return found


def _processes(processes: Mapping[str, ProcessUsage]) -> Iterable[Json]:
    for name, process in processes.items():
        yield {
            "name": name,
            "startTime": fields.time(process.started_at),
            "cpu": fields.cpu(process.at, process.nanocores, process.cpu),
            "memory": fields.memory(process.at, process.memory),
        }


def _all_pods(usage: Usage) -> Json:
    """What all pods use together, which upstream has in a cgroup of its own."""
    containers, machine = usage.containers.values(), usage.machine
    started = min((each.started_at for each in containers), default=machine.booted_at)
    return {
        "name": "pods",
        "startTime": fields.time(started),
        "cpu": fields.cpu(machine.at, sum(each.nanocores for each in containers), cpu_of_all(containers)),
        "memory": fields.memory(machine.at, memory_of_all(containers), machine.capacity),
    }


def _pod(uid: PodUID, usage: Usage, containers: Sequence[ContainerUsage], disks: Disks | None) -> Json:
    identity, at = containers[0].container.identity, max(each.at for each in containers)
    apps = [each for each in containers if not each.container.is_sandbox]
    cpu, memory = of_pod(usage, uid, containers)
    limits = [each.reading.memory.limit for each in apps]
    found: Json = {
        "podRef": {"name": identity.pod_name, "namespace": identity.pod_namespace, "uid": uid},
        "startTime": fields.time(min(each.container.created_at for each in containers)),
        "containers": [_container(each, disks) for each in apps],
        "cpu": fields.cpu(at, sum(each.nanocores for each in containers), cpu),
        "memory": fields.memory(at, memory, sum(limits) if all(limits) else 0),
        "swap": fields.swap(at, memory, sum(each.reading.memory.swap_limit for each in apps)),
    }
    if disks is None:
        return found
    if network := [interface for each in containers for interface in each.reading.network]:
        found["network"] = fields.network(at, network)
    volumes = disks.volumes.get(uid, ())
    if volumes:
        found["volume"] = [fields.volume(disks.usage.at, each, identity.pod_namespace) for each in volumes]
    if disks.usage.engine is not None:
        use = fields.together([*_written(apps, disks.usage), *(v.use for v in volumes if v.on_disk and not v.claim)])
        found["ephemeral-storage"] = fields.file_system(disks.usage.at, disks.usage.engine, use)
    found["process_stats"] = {"process_count": sum(each.reading.processes for each in containers)}
    return found


def _written(containers: Iterable[ContainerUsage], disks: DiskUsage) -> Iterator[DiskUse | None]:
    """What they have written beside volumes, and said."""
    for each in containers:
        disk = disks.containers.get(each.container.id, ContainerDisk())
        yield from (disk.root, disk.logs)


def _container(each: ContainerUsage, disks: Disks | None) -> Json:
    reading = each.reading
    found: Json = {
        "name": each.container.identity.name,
        "startTime": fields.time(each.started_at),
        "cpu": fields.cpu(each.at, each.nanocores, reading.cpu),
        "memory": fields.memory(each.at, reading.memory, reading.memory.limit),
        "swap": fields.swap(each.at, reading.memory, reading.memory.swap_limit),
    }
    if disks is None:
        return found
    if reading.io_pressure is not None:
        found["io"] = {"time": fields.time(each.at), "psi": fields.psi(reading.io_pressure)}
    disk, system = disks.usage.containers.get(each.container.id, ContainerDisk()), disks.usage.engine
    if system is not None:
        for name, use in (("rootfs", disk.root), ("logs", disk.logs)):
            if use is not None:
                found[name] = fields.file_system(disks.usage.at, system, use)
    return found
