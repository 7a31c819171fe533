"""What Prometheus reads, as its own parser understands it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from vkprovider.telemetry.exposition import NodeNumbers, node_metrics, probe_metrics


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_a_node():
    numbers = NodeNumbers(
        node="n", version="1.2", pods={"Running": 2, "Succeeded": 1}, containers={"running": 3, "terminated": 2}
    )
    found = samples(node_metrics(numbers))
    expected = {
        ("kubelet_node_name", (("node", "n"),)): 1,
        ("kubelet_running_pods", ()): 2,
        ("kubelet_running_containers", (("container_state", "running"),)): 3,
        ("kubelet_running_containers", (("container_state", "terminated"),)): 2,
        ("vkprovider_pods", (("phase", "Running"),)): 2,
        ("vkprovider_pods", (("phase", "Succeeded"),)): 1,
        ("vkprovider_build_info", (("version", "1.2"),)): 1,
    }
    assert expected.items() <= found.items()
    assert found["process_resident_memory_bytes", ()] > 0


def test_an_empty_node():
    found = samples(node_metrics(NodeNumbers(node="n", version="1", pods={}, containers={})))
    assert found["kubelet_running_pods", ()] == 0


def test_probes():
    found = samples(probe_metrics({("Liveness", "failed", "c", "p", "ns", "u"): 4}))
    labels = {"probe_type": "Liveness", "result": "failed", "container": "c", "pod": "p", "namespace": "ns"}
    assert found == {("prober_probe_total", tuple(sorted((labels | {"pod_uid": "u"}).items()))): 4}
