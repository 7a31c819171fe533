"""The real metrics-server, built from its Go module, as an API of a test's control plane.

    python -m integration.cluster.metrics_server

builds it, which takes some minutes, and prints its path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .controlplane import ControlPlane
from .go_programs import find_program
from .probes import answers, free_ports
from .server import Server

NAME, NAMESPACE, API = "metrics-server", "kube-system", "v1beta1.metrics.k8s.io"
VERSION = "v0.9.0"
SECONDS = 1200


def find_metrics_server() -> Path:
    """The program, built if it is not yet. Raises BuildError."""
    return find_program("sigs.k8s.io/metrics-server/cmd/metrics-server", VERSION, SECONDS)


@contextmanager
def metrics_server(plane: ControlPlane, address: str) -> Iterator[Server]:
    """Run one as long as the block does, as an administrator, with the flags of its own manifest.

    address: where the API server finds it, which may not be loopback; that of a bridge

    Raises BuildError and ServerError.
    """
    port, folder = free_ports(1)[0], plane.folder
    command = [
        *("setpriv", "--pdeathsig", "KILL"),  # a test run that is killed leaves no server
        str(find_metrics_server()),
        *(f"--{name}={plane.kubeconfig}" for name in ("kubeconfig", "authentication-kubeconfig")),
        f"--authorization-kubeconfig={plane.kubeconfig}",
        f"--bind-address={address}",
        f"--secure-port={port}",
        f"--cert-dir={folder / NAME}",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        "--kubelet-use-node-status-port",
        "--kubelet-insecure-tls",  # nodes here show certificates of their own making
        "--metric-resolution=10s",  # the least it takes
        "--kubelet-request-timeout=8s",
    ]
    server = Server(NAME, command, folder, lambda: answers(f"https://{address}:{port}/livez"))
    server.start()
    try:
        server.wait()
        plane.kubectl("apply", "--filename=-", stdin=json.dumps(_registration(address, port)))
        plane.kubectl("wait", f"apiservice/{API}", "--for=condition=Available", "--timeout=60s", seconds=70)
        yield server
    finally:
        server.stop()


def _registration(address: str, port: int) -> dict[str, object]:
    """What has the API server pass on requests for its API; no pod is behind the Service."""
    metadata = {"name": NAME, "namespace": NAMESPACE}
    ports = [{"name": "https", "port": port}]
    service = {"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": {"ports": ports}}
    endpoints = {  # which older API servers look at; a controller makes the slices of them that newer ones do
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": metadata,
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    api = {
        "kind": "APIService",
        "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": API},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": metadata | {"port": port},
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    return {"kind": "List", "apiVersion": "v1", "items": [service, endpoints, api]}


if __name__ == "__main__":
    print(find_metrics_server())
