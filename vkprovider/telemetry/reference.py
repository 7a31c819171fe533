"""The page of all metrics, from the catalogue: python -m vkprovider.telemetry.reference"""

from __future__ import annotations

from collections.abc import Iterator

from vkprovider.telemetry.catalogue import CATALOGUE, Series
from vkprovider.telemetry.exposition import PROBE_LABELS

KINDS = (
    ("app", "a container without any mark"),
    ("init", "an init container that ends"),
    ("native", "a sidecar: an init container with `restartPolicy: Always`"),
    ("marked", "a sidecar by `__IS_SIDECAR__` and the like"),
    ("job", "a sidecar for the end of a Job's pod only"),
    ("ephemeral", "a container of `kubectl debug`"),
)
PROCESS = (
    "`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, "
    "`process_start_time_seconds`, `process_open_fds`, `process_max_fds`, and `python_info`"
)
NOT_TOLD = (
    ("`go_*`", "the node is not written in Go"),
    ("`kubelet_cgroup_manager_*`", "the engine makes the cgroups"),
    ("`kubelet_node_config_error`", "a wrong configuration ends the process, with a message"),
    (
        "`cadvisor_version_info`, `machine_dimm_*`, `machine_nvm_*`",
        "nothing here is cadvisor, or reads what the memory is",
    ),
    ("`kubernetes_build_info`", "it would be counted among the versions of Kubernetes: see `vkprovider_build_info`"),
)


def render() -> str:
    """The page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "<!-- Generated from vkprovider/telemetry/catalogue.py by `make reference`. -->"
    yield ""
    yield "What Prometheus is told at the port of the node's API, and with `--read-only-port` on loopback. How to have"
    yield "it read: [how-to/monitor](../how-to/monitor.md). Counters begin at 0 with each start of the process."
    yield ""
    yield "| path | what it has |"
    yield "|---|---|"
    yield "| `/metrics` | what is on this page |"
    yield f"| `/metrics/probes` | `prober_probe_total`, by {_code(PROBE_LABELS)} |"
    yield "| `/metrics/resource` | CPU and memory of the node, its pods and containers, as metrics-server reads them |"
    yield "| `/metrics/cadvisor` | what containers use, by cAdvisor's names; its loads are 0, as kubelets' |"
    ours = [series for series in CATALOGUE if series.name.startswith("vkprovider_")]
    yield from ("", "## Our own")
    yield from _table(ours)
    yield from (
        "",
        "A `kind` of container ([sidecars](sidecars.md)) is one of these:",
        "",
        "| kind | is |",
        "|---|---|",
    )
    yield from (f"| `{kind}` | {is_} |" for kind, is_ in KINDS)
    yield from ("", "## Those of a kubelet", "")
    yield "With the names, labels and units that they have there, so that the dashboards and alerts of kubernetes-mixin"
    yield "and of kube-prometheus-stack hold for this node too."
    yield from _table([series for series in CATALOGUE if series not in ours])
    yield from ("", f"And of the process {PROCESS}.")
    yield from ("", "## What a kubelet tells and this node does not", "", "| name | why |", "|---|---|")
    yield from (f"| {name} | {why} |" for name, why in NOT_TOLD)


def _table(listed: list[Series]) -> Iterator[str]:
    yield from ("", "| name | type | labels | what it says |", "|---|---|---|---|")
    for each in listed:
        yield f"| `{each.name}` | {each.type} | {_code(each.labels)} | {each.says.rstrip('.')} |"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    print(render(), end="")
