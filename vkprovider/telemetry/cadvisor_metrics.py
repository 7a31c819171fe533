"""``/metrics/cadvisor``: what container dashboards and alerts go by.

The machine has ``id="/"``; a pod's sandbox, which has the pod's network, has no ``container``. As with a kubelet all of
a pod is below ``/kubepods/pod<uid>``, wherever the engine keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vkprovider.model.usage import ContainerDisk, ContainerUsage, DiskUsage, MachineUsage, Reading, Usage
from vkprovider.telemetry.cadvisor_series import SERIES, Told
from vkprovider.telemetry.page import GAUGE, Family, Sample, label_text, page

ROOT = {"container": "", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}


def cadvisor_metrics(usage: Usage | None, disks: DiskUsage | None) -> bytes:
    """The page; None says that there was nothing to be had, which is all that is told then."""
    if usage is None or disks is None:
        return page(_errors(1))
    told = {label_text(ROOT): _machine(usage.machine, disks)}
    told |= {label_text(_labels(each)): _container(each, disks) for each in usage.containers.values()}
    return page([*_errors(0), *_facts(usage.machine), *_families(told)])


def _families(told: Mapping[str, Told]) -> Iterator[Family]:
    for series in SERIES:
        samples = [
            Sample(f"{labels},{more}" if more else labels, value, each.at)
            for labels, each in told.items()
            for more, value in series.samples(each)
        ]
        yield Family(series.name, series.kind, series.help, samples)


def _facts(machine: MachineUsage) -> Iterable[Family]:
    for name, text, value in (
        ("machine_cpu_physical_cores", "Number of physical CPU cores.", machine.cores),
        ("machine_cpu_cores", "Number of logical CPU cores.", machine.cpus),
        ("machine_cpu_sockets", "Number of CPU sockets.", machine.sockets),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", machine.capacity),
        ("machine_swap_bytes", "Amount of swap memory available on the machine.", machine.memory.swap_limit),
    ):
        yield Family(name, GAUGE, text, [Sample("", value)])


def _errors(value: int) -> Iterable[Family]:
    for what in ("container", "machine"):
        text = f"1 if there was an error while getting {what} metrics, 0 otherwise"
        yield Family(f"{what}_scrape_error", GAUGE, text, [Sample("", value)])


def _labels(each: ContainerUsage) -> dict[str, str]:
    container, identity = each.container, each.container.identity
    return {
        "container": "" if container.is_sandbox else identity.name,
        "id": f"/kubepods/pod{identity.pod_uid}/{container.id}",
        "image": identity.image or container.image,
        "name": identity.engine_name,
        "namespace": identity.pod_namespace,
        "pod": identity.pod_name,
    }


def _machine(machine: MachineUsage, disks: DiskUsage) -> Told:
    reading = Reading(
        cpu=machine.cpu,
        memory=machine.memory,
        io_pressure=machine.io_pressure,
        threads=machine.threads,
        threads_max=machine.threads_max,
        network=machine.network,
    )
    used = disks.engine.used if disks.engine else 0
    return Told(reading, machine.at, machine.booted_at, disks.engine, used, machine.disks)


def _container(each: ContainerUsage, disks: DiskUsage) -> Told:
    root = disks.containers.get(each.container.id, ContainerDisk()).root
    return Told(each.reading, each.at, each.started_at, disks.engine if root else None, root.used if root else 0)
