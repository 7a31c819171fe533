"""Who a pod is in the network: its names, who resolves others for it, and its ports on the machine."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from integration.cluster.probes import free_ports
from integration.docker.command import Command, eventually
from integration.docker.pods import pod, shell

pytestmark = pytest.mark.docker

LAST_WORDS = "/dev/termination-log"
PIECE = 1024
LOOPBACK = "127.0.0.1"
ANSWERS = """
from socket import *
heard = socket(AF_INET, SOCK_DGRAM)
heard.bind(("", 7000))
while True:
    said, sender = heard.recvfrom(1024)
    heard.sendto(b"heard " + said, sender)
"""


def words(command: Command, script: str, **spec: Any) -> list[str]:
    """What a script leaves as its last words, in a pod of its own."""
    run = command.run_json(pod("web", shell("app", f"{{ {script}; }} >{LAST_WORDS}"), **spec))
    assert run.finish() == 0, str(run.err)
    return str(run.status("app")["state"]["terminated"]["message"]).splitlines()


def test_a_resolver_of_the_pods_own(command: Command) -> None:
    options = [{"name": "ndots", "value": "3"}, {"name": "rotate"}]
    config = {"nameservers": ["192.0.2.1", "2001:db8::1"], "searches": ["a.example", "b.example"], "options": options}
    assert words(command, "cat /etc/resolv.conf", dnsPolicy="None", dnsConfig=config) == [
        "search a.example b.example",
        "nameserver 192.0.2.1",
        "nameserver 2001:db8::1",
        "options ndots:3 rotate",
    ]


def test_a_resolver_that_adds_to_the_nodes(command: Command) -> None:
    config = {"nameservers": ["192.0.2.1"], "searches": ["a.example"]}
    lines = words(command, "cat /etc/resolv.conf", dnsConfig=config)
    assert "nameserver 192.0.2.1" in lines
    assert any(line.startswith("search ") and line.endswith("a.example") for line in lines)


@pytest.mark.parametrize(
    ("spec", "kernels", "in_hosts"),
    [
        ({}, "web", "web"),
        ({"hostname": "h"}, "h", "h"),
        ({"subdomain": "db"}, "web", "web.db.default.svc.cluster.local\tweb"),
        (
            {"subdomain": "db", "setHostnameAsFQDN": True},
            "web.db.default.svc.cluster.local",
            "web.db.default.svc.cluster.local\tweb",
        ),
        ({"subdomain": "db", "hostnameOverride": "x.example"}, "x.example", "x.example"),
    ],
)
def test_hostnames(command: Command, spec: dict[str, Any], kernels: str, in_hosts: str) -> None:
    script = "hostname; cat /proc/sys/kernel/hostname; tail -n 1 /etc/hosts | cut -f 2-"
    assert words(command, script, **spec) == [kernels, kernels, in_hosts]


def test_a_tcp_port_of_the_machine(command: Command) -> None:
    (port,) = free_ports(1)
    ports = [{"containerPort": 7000, "hostPort": port, "hostIP": LOOPBACK}]
    run = command.run_json(pod("web", shell("app", "echo it works | nc -l -p 7000", ports=ports)))
    answer: list[bytes] = []

    def answers() -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2) as client:
            answer.append(client.recv(PIECE))
        return answer != [] and answer[-1] != b""

    eventually(answers, "an answer")
    assert answer[-1] == b"it works\n"
    assert run.finish() == 0, str(run.err)


def test_a_udp_port_of_the_machine(command: Command) -> None:
    """Datagrams in, and their answers back. Busybox has nothing that listens on UDP, but the machine has Python."""
    needed = {path for path in ("/usr", "/lib", "/lib64", sys.base_prefix) if Path(path).exists()}
    volumes = [{"name": f"part-{n}", "hostPath": {"path": path}} for n, path in enumerate(needed)]
    mounts = [{"name": f"part-{n}", "mountPath": path, "readOnly": True} for n, path in enumerate(needed)]
    python = Path(sys.executable).resolve()
    (port,) = free_ports(1)
    ports = [{"containerPort": 7000, "hostPort": port, "hostIP": LOOPBACK, "protocol": "UDP"}]
    script = f"trap 'exit 0' TERM; {python} -c '{ANSWERS}' & wait"
    run = command.run_json(pod("web", shell("app", script, ports=ports, volumeMounts=mounts), volumes=volumes))
    eventually(lambda: asked(LOOPBACK, port) == b"heard a word", "an answer")
    assert asked("127.0.0.2", port) == b""  # it is of one address alone
    run.interrupt()
    run.finish()


def asked(address: str, port: int) -> bytes:
    """What is answered to a datagram; nothing where nobody listens yet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, suppress(OSError):
        client.settimeout(0.5)
        client.connect((address, port))
        client.send(b"a word")
        return client.recv(PIECE)
    return b""
