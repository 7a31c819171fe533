#!/usr/bin/env python3
"""Write the Grafana dashboard: deploy/monitoring/make_dashboard.py >deploy/monitoring/dashboard.json"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

Json = dict[str, Any]

WIDTH, HEIGHT = 24, 8
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ON = 'instance=~"$instance"'
GONE_WRONG = 'outcome=~"unavailable|failed"'
SIDECARS = 'kind=~"native|marked|job"'


class Panel(NamedTuple):
    """One panel; ``queries`` are legends and expressions."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    says: str = ""
    type: str = "timeseries"
    width: int = 8


def rate(name: str, by: str, *matchers: str) -> str:
    return f"sum by ({by}) (rate({name}{{{', '.join((ON, *matchers))}}}[$__rate_interval]))"


def total(name: str, *matchers: str) -> str:
    return f"sum(increase({name}{{{', '.join((ON, *matchers))}}}[$__range]))"


def quantile(of: str, name: str, by: str = "", *matchers: str) -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({of}, {rate(f'{name}_bucket', labels, *matchers)})"


def quantiles(name: str, by: str = "", *matchers: str) -> tuple[tuple[str, str], ...]:
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple((f"p{of[2:]:0<2}{legend}", quantile(of, name, by, *matchers)) for of in ("0.5", "0.99"))


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Pods",
        (
            Panel("Running pods", "none", (("", f"sum(kubelet_running_pods{{{ON}}})"),), type="stat", width=4),
            Panel(
                "Running sidecars",
                "none",
                (("", f"sum(vkprovider_containers_running{{{ON}, {SIDECARS}}})"),),
                type="stat",
                width=4,
            ),
            Panel(
                "Forgiven exits",
                "none",
                (("", total("vkprovider_forgiven_exits_total")),),
                "Sidecars that ended with another exit code than 0 when vkprovider stopped them: published as 0.",
                "stat",
                4,
            ),
            Panel(
                "Kills",
                "none",
                (("", total("vkprovider_container_kills_total")),),
                "Containers that did not end within their grace.",
                "stat",
                4,
            ),
            Panel(
                "Time to the engine's last sign of life",
                "s",
                (
                    (
                        "{{instance}}",
                        f"time() - kubelet_pleg_last_seen_seconds{{{ON}}}",
                    ),
                ),
                type="stat",
                width=8,
            ),
            Panel("Pods by phase", "none", (("{{phase}}", f"sum by (phase) (vkprovider_pods{{{ON}}})"),)),
            Panel(
                "Running containers by kind",
                "none",
                (("{{kind}}", f"sum by (kind) (vkprovider_containers_running{{{ON}}})"),),
            ),
            Panel("Pod start latency", "s", quantiles("kubelet_pod_start_duration_seconds")),
        ),
    ),
    (
        "Sidecars and other containers",
        (
            Panel("Starts", "ops", (("{{kind}}", rate("vkprovider_container_starts_total", "kind")),)),
            Panel("Restarts", "ops", (("{{kind}}", rate("vkprovider_container_restarts_total", "kind")),)),
            Panel("Exits", "ops", (("{{kind}} {{reason}}", rate("vkprovider_container_exits_total", "kind, reason")),)),
            Panel("Forgiven exits", "ops", (("{{kind}}", rate("vkprovider_forgiven_exits_total", "kind")),)),
            Panel("Kills", "ops", (("{{kind}}", rate("vkprovider_container_kills_total", "kind")),)),
            Panel("Time to stop", "s", quantiles("vkprovider_container_stop_duration_seconds", "kind")),
        ),
    ),
    (
        "Engine",
        (
            Panel("Calls", "ops", (("{{call}}", rate("vkprovider_engine_calls_total", "call")),)),
            Panel(
                "Errors",
                "ops",
                (("{{call}} {{outcome}}", rate("vkprovider_engine_calls_total", "call, outcome", GONE_WRONG)),),
                "Calls that found nothing, or what they were to do done already, are no errors.",
            ),
            Panel(
                "Calls in flight",
                "none",
                (("{{call}}", f"sum by (call) (vkprovider_engine_calls_in_flight{{{ON}}})"),),
                "Those that stay have met an engine that hangs.",
            ),
            Panel(
                "Latency, p99",
                "s",
                (
                    (
                        "{{operation_type}}",
                        quantile("0.99", "kubelet_runtime_operations_duration_seconds", "operation_type"),
                    ),
                ),
            ),
            Panel("Open streams", "none", (("{{kind}}", f"sum by (kind) (vkprovider_streams{{{ON}}})"),)),
            Panel("Streams opened", "ops", (("{{kind}}", rate("vkprovider_streams_total", "kind")),)),
            Panel("Failed steps", "ops", (("{{action}}", rate("vkprovider_action_failures_total", "action")),)),
        ),
    ),
    (
        "The node itself",
        (
            Panel("Looks at pods", "ops", (("{{result}}", rate("vkprovider_reconciles_total", "result")),)),
            Panel("Causes of looks", "ops", (("{{cause}}", rate("vkprovider_reconcile_causes_total", "cause")),)),
            Panel(
                "Delay of a look",
                "s",
                quantiles("vkprovider_reconcile_delay_seconds"),
                "From its cause until it begins: long where the node has more to do than it can.",
            ),
            Panel("Time of a look", "s", quantiles("kubelet_pod_worker_duration_seconds")),
            Panel(
                "Time of a step, p99",
                "s",
                (("{{action}}", quantile("0.99", "vkprovider_action_duration_seconds", "action")),),
            ),
            Panel("Requests to the API server", "reqps", (("{{code}}", rate("rest_client_requests_total", "code")),)),
            Panel(
                "Memory",
                "bytes",
                (("{{instance}}", f"process_resident_memory_bytes{{{ON}}}"),),
            ),
            Panel(
                "CPU",
                "none",
                (
                    (
                        "{{instance}}",
                        f"rate(process_cpu_seconds_total{{{ON}}}[$__rate_interval])",
                    ),
                ),
            ),
        ),
    ),
)


def variable(name: str, kind: str, query: str, **more: Any) -> Json:
    return {"name": name, "type": kind, "query": query, "refresh": 2, **more}


def dashboard() -> Json:
    """The whole of it. Of ``kubelet_*`` it shows those of the chosen nodes alone, which are all vkprovider's."""
    panels: list[Json] = []
    y = 0
    for title, row in ROWS:
        panels.append(_placed({"type": "row", "title": title, "panels": []}, len(panels), 0, y, WIDTH, 1))
        x, y = 0, y + 1
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + HEIGHT
            panels.append(_placed(_panel(panel), len(panels), x, y, panel.width, HEIGHT))
            x += panel.width
        y += HEIGHT
    return {
        "title": "vkprovider",
        "uid": "vkprovider",
        "tags": ["kubernetes", "vkprovider"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                variable("datasource", "datasource", "prometheus"),
                variable(
                    "instance",
                    "query",
                    "label_values(vkprovider_build_info, instance)",
                    datasource=SOURCE,
                    multi=True,
                    includeAll=True,
                ),
            ]
        },
        "panels": panels,
    }


def _placed(panel: Json, number: int, x: int, y: int, width: int, height: int) -> Json:
    return {"id": number + 1, "gridPos": {"x": x, "y": y, "w": width, "h": height}} | panel


def _panel(panel: Panel) -> Json:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend or "__auto"}
        for number, (legend, query) in enumerate(panel.queries)
    ]
    return {
        "type": panel.type,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=2)
    print()
