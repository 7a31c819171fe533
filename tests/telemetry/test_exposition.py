"""What Prometheus reads, as its own parser understands it."""

from __future__ import annotations

from tests.telemetry.scraped import samples
from vkprovider.node.clock import SystemClock
from vkprovider.telemetry.exposition import health_metrics, node_metrics, probe_metrics
from vkprovider.telemetry.node_meter import NodeMeter


def test_a_node():
    meter = NodeMeter(SystemClock())
    meter.show("n", "1.2", {"Running": 2, "Succeeded": 1}, {"running": 3, "terminated": 2})
    found = samples(node_metrics(meter))
    expected = {
        ("kubelet_node_name", (("node", "n"),)): 1,
        ("kubelet_running_pods", ()): 2,
        ("kubelet_running_containers", (("container_state", "running"),)): 3,
        ("kubelet_running_containers", (("container_state", "terminated"),)): 2,
        ("vkprovider_pods", (("phase", "Running"),)): 2,
        ("vkprovider_pods", (("phase", "Failed"),)): 0,
        ("vkprovider_build_info", (("version", "1.2"),)): 1,
    }
    assert expected.items() <= found.items()
    assert found["process_resident_memory_bytes", ()] > 0


def test_an_empty_node():
    meter = NodeMeter(SystemClock())
    meter.show("n", "1", {}, {})
    assert samples(node_metrics(meter))["kubelet_running_pods", ()] == 0


def test_health():
    found = samples(health_metrics({"ping": True, "syncloop": False}))
    assert found == {
        ("kubernetes_healthcheck", (("name", "ping"), ("type", "healthz"))): 1,
        ("kubernetes_healthcheck", (("name", "syncloop"), ("type", "healthz"))): 0,
    }


def test_probes():
    found = samples(probe_metrics({("Liveness", "failed", "c", "p", "ns", "u"): 4}))
    labels = {"probe_type": "Liveness", "result": "failed", "container": "c", "pod": "p", "namespace": "ns"}
    assert found == {("prober_probe_total", tuple(sorted((labels | {"pod_uid": "u"}).items()))): 4}
