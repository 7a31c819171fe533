from __future__ import annotations

import pytest

from vkprovider.server.attributes import subresources, verb


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", "get"),
        ("POST", "create"),
        ("PUT", "update"),
        ("PATCH", "patch"),
        ("DELETE", "delete"),
        ("HEAD", ""),
        ("OPTIONS", ""),
        ("CONNECT", ""),
        ("get", ""),
    ],
)
def test_what_is_done(method: str, action: str):
    assert verb(method) == action


@pytest.mark.parametrize(  # pkg/kubelet/server/auth_test.go
    ("path", "places"),
    [
        ("/stats", ("stats",)),
        ("/stats/", ("stats",)),
        ("/stats/summary", ("stats",)),
        ("/metrics", ("metrics",)),
        ("/metrics/cadvisor", ("metrics",)),
        ("/metrics/resource", ("metrics",)),
        ("/metrics/probes", ("metrics",)),
        ("/logs", ("log",)),
        ("/logs/syslog", ("log",)),
        ("/checkpoint/ns/pod/app", ("checkpoint",)),
        ("/statusz", ("statusz",)),
        ("/flagz", ("configz",)),
        ("/pods", ("pods", "proxy")),
        ("/pods/", ("pods", "proxy")),
        ("/runningpods/", ("pods", "proxy")),
        ("/runningpods", ("pods", "proxy")),
        ("/healthz", ("healthz", "proxy")),
        ("/healthz/ping", ("healthz", "proxy")),
        ("/configz", ("configz", "proxy")),
        ("/", ("proxy",)),
        ("", ("proxy",)),
        ("/exec/ns/pod/app", ("proxy",)),
        ("/exec/metrics/pod/app", ("proxy",)),
        ("/attach/ns/pod/app", ("proxy",)),
        ("/portForward/ns/pod", ("proxy",)),
        ("/containerLogs/ns/pod/app", ("proxy",)),
        ("/run/ns/pod/app", ("proxy",)),
        ("/debug/pprof/profile", ("proxy",)),
        ("/no/such/path", ("proxy",)),
        # what only looks like it
        ("/metricsx", ("proxy",)),
        ("/podsx", ("proxy",)),
        ("//metrics", ("proxy",)),
        ("/Metrics", ("proxy",)),
        ("/./metrics", ("proxy",)),
    ],
)
def test_where_it_is_done(path: str, places: tuple[str, ...]):
    assert subresources(path) == places
