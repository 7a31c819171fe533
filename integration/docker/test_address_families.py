"""Pods have an address of each family that the engine's bridge has, and are told of them and reached by them."""

from __future__ import annotations

import subprocess
from functools import partial
from ipaddress import ip_address
from typing import Any

import docker
import pytest

from integration.cluster.probes import answers, free_ports
from integration.docker.command import Command, Run, eventually
from integration.docker.pods import UNTIL_TERM, pod, shell

pytestmark = pytest.mark.docker

PORT = 7000
SERVES = f"mkdir /www; echo it works >/www/index.html; httpd -p {PORT} -h /www; {UNTIL_TERM}"
TOLD = ("status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs")


@pytest.fixture
def families(client: docker.APIClient) -> list[int]:
    """The IP versions of the engine's bridge."""
    return [4, 6] if client.inspect_network("bridge")["EnableIPv6"] else [4]


def server(name: str, **fields: Any) -> dict[str, Any]:
    """A pod that serves on all its addresses, and has them in its variables."""
    told = [{"name": path.partition(".")[2], "valueFrom": {"fieldRef": {"fieldPath": path}}} for path in TOLD]
    return pod(name, shell(name, SERVES, env=told, **fields), hostAliases=[{"ip": "192.0.2.1", "hostnames": ["last"]}])


def inside(run: Run, name: str, script: str) -> list[str]:
    command = ["docker", "exec", run.one(name).id, "sh", "-c", script]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.splitlines()


def test_a_pod_has_and_is_told_an_address_of_each_family(command: Command, families: list[int]) -> None:
    run = command.run_json(server("web"), server("peer"))
    run.until_sleeping("web", "peer")
    first, every, *host = inside(run, "web", 'for name in podIP podIPs hostIP hostIPs; do eval "echo \\$$name"; done')
    ips = every.split(",")
    assert ([ip_address(ip).version for ip in ips], ips[0]) == (families, first)
    named = [line.split("\t") for line in inside(run, "web", "cat /etc/hosts")]
    assert [line[0] for line in named if line[-1] == "web"] == ips
    for client, ip in (*(("web", ip) for ip in ips), ("peer", ips[-1])):
        where = f"[{ip}]" if ":" in ip else ip
        assert inside(run, client, f"timeout 10 wget -q -O - http://{where}:{PORT}/") == ["it works"], (client, ip)
    run.interrupt()
    run.finish()
    status = next(each for each in run.pods if each["metadata"]["name"] == "web")["status"]
    assert (status["podIP"], status["podIPs"]) == (first, [{"ip": ip} for ip in ips])
    assert (host, status["hostIPs"]) == ([status["hostIP"]] * 2, [{"ip": status["hostIP"]}])  # a node has one


def test_ports_of_the_machine_by_ipv6(command: Command, families: list[int]) -> None:
    """One of any of its addresses, and one of the loopback of IPv6 alone."""
    if 6 not in families:
        pytest.skip("the engine's bridge has no IPv6")
    any_address, loopback = free_ports(2)
    ports = [
        {"containerPort": PORT, "hostPort": any_address},
        {"containerPort": PORT, "hostPort": loopback, "hostIP": "::1"},
    ]
    run = command.run_json(server("web", ports=ports))
    for port, by_ipv4 in ((any_address, True), (loopback, False)):
        eventually(partial(answers, f"http://[::1]:{port}/"), "an answer by IPv6")
        assert answers(f"http://127.0.0.1:{port}/") == by_ipv4
    run.interrupt()
    run.finish()
