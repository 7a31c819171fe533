"""``/metrics/resource``, as Prometheus's own parser understands it, and as metrics-server reads it."""

from __future__ import annotations

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.usages import AT, GIB, READING, STARTED, usage_of, used
from vkprovider.model.usage import ContainerUsage, CpuUsage
from vkprovider.telemetry.page import Family as Page
from vkprovider.telemetry.page import Sample, label_text, page
from vkprovider.telemetry.resource_metrics import resource_metrics

Key = tuple[str, tuple[tuple[str, str], ...]]


def samples(text: bytes) -> dict[Key, tuple[float, float | None]]:
    """Value and time, by name and labels. Prometheus refuses a page that says something twice."""
    found: dict[Key, tuple[float, float | None]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = (sample.value, sample.timestamp)
    return found


def labels(**fields: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(fields.items()))


def test_all_names():
    found = samples(resource_metrics(usage_of(used(), used("POD"))))
    at, app, pod = (
        AT.timestamp(),
        labels(container="app", pod="web", namespace="default"),
        labels(pod="web", namespace="default"),
    )
    assert found == {
        ("node_cpu_usage_seconds_total", ()): (900, at),
        ("node_memory_working_set_bytes", ()): (5 * GIB, at),
        ("node_swap_usage_bytes", ()): (0, at),
        ("container_cpu_usage_seconds_total", app): (2.5, at),
        ("container_memory_working_set_bytes", app): (20 << 20, at),
        ("container_swap_usage_bytes", app): (0, at),
        ("container_swap_limit_bytes", app): (0, at),
        ("container_start_time_seconds", app): (STARTED.timestamp(), None),
        ("pod_cpu_usage_seconds_total", pod): (5, at),  # with the sandbox
        ("pod_memory_working_set_bytes", pod): (40 << 20, at),
        ("pod_swap_usage_bytes", pod): (0, at),
        ("scrape_error", ()): (0, None),
        ("resource_scrape_error", ()): (0, None),
    }


def test_of_a_pod_what_has_ended_counts_too():
    pod = labels(pod="web", namespace="default")
    found = samples(resource_metrics(usage_of(used(), used("POD"), former={"u1": 3 * 10**9, "u2": 10**9})))
    assert found["pod_cpu_usage_seconds_total", pod][0] == 8
    own = msgspec.structs.replace(READING, cpu=CpuUsage(total=9 * 10**9))
    found = samples(resource_metrics(usage_of(used(), used("POD"), pods={"u1": own}, former={"u1": 3 * 10**9})))
    assert found["pod_cpu_usage_seconds_total", pod][0] == 9
    assert found["pod_memory_working_set_bytes", pod][0] == 20 << 20


def test_a_node_without_pods():
    found = samples(resource_metrics(usage_of()))
    assert {name for name, _ in found} == {
        "node_cpu_usage_seconds_total",
        "node_memory_working_set_bytes",
        "node_swap_usage_bytes",
        "scrape_error",
        "resource_scrape_error",
    }


def test_nothing_known():
    assert samples(resource_metrics(None)) == {
        ("scrape_error", ()): (1, None),
        ("resource_scrape_error", ()): (1, None),
    }


def later(each: ContainerUsage) -> ContainerUsage:
    return msgspec.structs.replace(each, container=msgspec.structs.replace(each.container, created_at=AT))


@pytest.mark.parametrize("new_first", [True, False])
def test_of_two_pods_of_one_name_the_newest_is_told(new_first: bool):
    old = [used(uid="old"), used("gone", uid="old")]
    new = [later(used(uid="new", processes=9))]
    found = samples(resource_metrics(usage_of(*(new + old if new_first else old + new))))
    told = [dict(keys)["container"] for name, keys in found if name == "container_start_time_seconds"]
    assert told == ["app"]


def test_names_are_quoted_and_times_in_milliseconds():
    text = page(
        [Page("odd", "gauge", "Odd.", [Sample(label_text({"b": 'say "\\"\n', "a": "1"}), 0.5, AT), Sample("", 3)])]
    )
    at = f"{AT.timestamp() * 1000:.0f}"
    told = f'odd{{a="1",b="say \\"\\\\\\"\\n"}} 0.5 {at}\nodd 3\n'
    assert text.decode() == "# HELP odd Odd.\n# TYPE odd gauge\n" + told
