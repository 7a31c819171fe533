"""A Kubernetes control plane of the test run's own: real etcd, API server, controller manager and scheduler.

    python -m integration.cluster.controlplane [VERSION]

starts one by hand, prints its kubeconfig and ends it at Ctrl-C or when the standard input closes.
"""

import json
import os
import shutil
import signal
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Self

from .binaries import find_binaries
from .certificates import Authority, signing_key
from .clients import Cluster, write_kubeconfig
from .probes import answers, free_ports
from .server import Server

LOOPBACK = "127.0.0.1"
ETCD = "unix://etcd:0"  # a file in the servers' working folder; before 3.6 etcd wants the form host:port
SERVICES = ip_network("10.96.0.0/16")
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


class ControlPlane(Cluster):
    """A control plane that runs from `start` until `stop`, with all it writes in one temporary folder.

    No node belongs to it, and no kube-proxy. `servers` are its processes by name.
    """

    @classmethod
    def start(
        cls, version: str | None = None, address: str = LOOPBACK, flags: Mapping[str, Iterable[str]] | None = None
    ) -> Self:
        """A control plane that serves; also a context manager that stops it.

        address: where the API server listens: loopback, or that of a bridge so that containers reach it too
        flags: more flags by the name of the server, such as {"kube-apiserver": ["--v=4"]}

        Raises BinariesError and ServerError.
        """
        plane = cls(find_binaries(version), Path(tempfile.mkdtemp(prefix="vkprovider-cluster-")), address, flags or {})
        try:
            plane._start()
        except BaseException:
            plane.stop()
            raise
        return plane

    def __init__(
        self,
        binaries: Path,
        folder: Path,
        address: str,
        flags: Mapping[str, Iterable[str]],
        port: int = 0,
        hosts: Iterable[str] = (),
    ) -> None:
        """Everything that is needed to start it; `port` 0 stands for a free one, `hosts` are more names it goes by."""
        self.folder = folder
        self.servers: dict[str, Server] = {}
        self._binaries = binaries
        self._flags = flags
        self._authority = Authority(folder, "ca")
        self._ports = [port, *free_ports(2)] if port else free_ports(3)
        self._endpoint = f"https://{address}:{self._ports[0]}"
        admin = self._authority.issue("kubernetes-admin", ["system:masters"])
        kubeconfig = write_kubeconfig(folder / "admin.conf", self._endpoint, self._authority.pair.certificate, admin)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        super().__init__(kubeconfig, binaries / "kubectl", environment)
        self._trust = ssl.create_default_context(cafile=self._authority.pair.certificate)
        self._trust.load_cert_chain(admin.certificate, admin.key)
        self._add_etcd()
        self._add_apiserver(address, hosts)
        self._add_controllers()
        self._add_scheduler()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the servers, the last first, and remove the folder."""
        for server in reversed(self.servers.values()):
            server.stop()
        shutil.rmtree(self.folder)

    def stop_apiserver(self, seconds: float = 0) -> None:
        """Begin an outage: end the API server, by default as in a crash, and cut its connections.

        Asked politely, with so many `seconds` to end in, it listens no longer at once but serves the watches
        that it has for up to a minute. The other servers go on, and what etcd holds stays.
        """
        self.servers["kube-apiserver"].stop(seconds)

    def start_apiserver(self) -> None:
        """End the outage: start the API server, at the same URL, and wait until it serves.

        Raises ServerError.
        """
        self.servers["kube-apiserver"].start()
        self.servers["kube-apiserver"].wait()

    def identity(self, user: str, groups: Iterable[str] = ()) -> Path:
        """A kubeconfig for `user`, proven by a client certificate. Its path holds no colon: KUBECONFIG splits there."""
        pair = self._authority.issue(user, groups)
        path = self.folder / f"{user.replace(':', '-')}.conf"
        return write_kubeconfig(path, self._endpoint, self._authority.pair.certificate, pair)

    def node_identity(self, name: str) -> Path:
        """A kubeconfig for the node `name`, whom the API server lets see to its own pods alone."""
        return self.identity(f"system:node:{name}", ["system:nodes"])

    def _start(self) -> None:
        etcd, apiserver, *followers = self.servers.values()
        for server in (etcd, apiserver):
            server.start()
            server.wait()
        for server in followers:
            server.start()
        for server in followers:
            server.wait()

    def _add(self, name: str, ready: Callable[[], bool], flags: Mapping[str, object]) -> None:
        own = (f"--{flag}={setting}" for flag, setting in flags.items())
        command = [str(self._binaries / name), *own, *self._flags.get(name, ())]
        self.servers[name] = Server(name, command, self.folder, ready)

    def _add_etcd(self) -> None:
        """On Unix sockets in the folder, which nobody else may enter: it asks for no certificates."""
        config = self.folder / "etcd.json"
        settings = {
            "data-dir": str(self.folder / "etcd"),
            "listen-client-urls": ETCD,
            "advertise-client-urls": ETCD,
            "listen-peer-urls": "unix://peer:0",
            "unsafe-no-fsync": True,  # what it holds need not outlive the machine
            "log-level": "error",
        }
        config.write_text(json.dumps(settings))
        socket = self.folder / ETCD.removeprefix("unix://")
        self._add("etcd", socket.exists, {"config-file": config})

    def _add_apiserver(self, address: str, hosts: Iterable[str]) -> None:
        names = (*SERVICE_NAMES, "localhost", LOOPBACK, address, str(SERVICES[1]), *hosts)
        serving = self._authority.issue("kube-apiserver", hosts=dict.fromkeys(names))
        kubelet = self._authority.issue("kube-apiserver-kubelet-client", ["system:masters"])
        front = Authority(self.folder, "front-proxy-ca")
        proxy = front.issue("front-proxy-client")
        tokens = signing_key(self.folder / "service-account.key")
        flags = {
            "etcd-servers": ETCD,
            "bind-address": address,
            "advertise-address": address,
            "secure-port": self._ports[0],
            "tls-cert-file": serving.certificate,
            "tls-private-key-file": serving.key,
            "client-ca-file": self._authority.pair.certificate,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "enable-bootstrap-token-auth": "true",
            "allow-privileged": "true",
            "service-cluster-ip-range": SERVICES,
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": tokens,
            "service-account-signing-key-file": tokens,
            "kubelet-client-certificate": kubelet.certificate,
            "kubelet-client-key": kubelet.key,
            "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
            "enable-aggregator-routing": "true",  # straight to the pods of an aggregated API: no kube-proxy here
            "proxy-client-cert-file": proxy.certificate,
            "proxy-client-key-file": proxy.key,
            "requestheader-client-ca-file": front.pair.certificate,
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-username-headers": "X-Remote-User",
        }
        if address == LOOPBACK:
            flags["endpoint-reconciler-type"] = "none"  # a loopback address is refused in the Service's endpoints
        self._add("kube-apiserver", lambda: self._serves(f"{self._endpoint}/readyz"), flags)

    def _add_controllers(self) -> None:
        flags = {
            "service-account-private-key-file": self.folder / "service-account.key",
            "root-ca-file": self._authority.pair.certificate,
            "cluster-signing-cert-file": self._authority.pair.certificate,
            "cluster-signing-key-file": self._authority.pair.key,
            "use-service-account-credentials": "true",
            "controllers": "*,bootstrapsigner,tokencleaner",
            "kube-api-qps": 500,  # by default most of the start is spent waiting for leave to ask
            "kube-api-burst": 1000,
        }
        # A pod is admitted once its namespace has this account, which a controller makes.
        account = f"{self._endpoint}/api/v1/namespaces/default/serviceaccounts/default"
        self._add_follower("kube-controller-manager", self._ports[1], flags, lambda: self._serves(account))

    def _add_scheduler(self) -> None:
        self._add_follower("kube-scheduler", self._ports[2], {}, lambda: True)

    def _add_follower(self, name: str, port: int, flags: Mapping[str, object], ready: Callable[[], bool]) -> None:
        health = f"https://{LOOPBACK}:{port}/healthz"
        common = {
            "kubeconfig": self.identity(f"system:{name}"),
            "leader-elect": "false",
            "bind-address": LOOPBACK,
            "secure-port": port,
        }
        self._add(name, lambda: answers(health) and ready(), {**common, **flags})

    def _serves(self, url: str) -> bool:
        return answers(url, self._trust)


def main() -> None:
    """Run a control plane until the standard input closes or a signal comes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    with ControlPlane.start(sys.argv[1] if sys.argv[1:] else None) as plane:
        print(plane.kubeconfig, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
