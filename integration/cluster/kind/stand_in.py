"""A stand-in for a kind cluster: a container that bears kind's labels and runs a real control plane.

    python -m integration.cluster.kind.stand_in [NAME]

starts one by hand, prints a kubeconfig and ends it at Ctrl-C or when the standard input closes. It needs no node image
and no privileges, as no kubelet runs in it. To `kind get` and to vkprovider it is a cluster like those that
`kind create cluster` makes: same names, labels, ports, certificates' names and files.
"""

import json
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import getgid, getuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from integration.cluster.binaries import find_binaries
from integration.cluster.clients import Cluster, KubectlError
from integration.cluster.controlplane import LOOPBACK, ControlPlane
from integration.cluster.nodes import IMAGE, make_image
from integration.cluster.server import WITH_SHA1
from integration.cluster.waiting import eventually

PORT = 6443
LABELS = "io.x-k8s.kind.cluster={0}", "io.x-k8s.kind.role=control-plane"
BEGIN = "until [ -e /etc/kubernetes/start ]; do sleep 0.1; done; exec sh /etc/kubernetes/start"


class DockerError(RuntimeError):
    """The Docker client exited with another code than 0; the message has its words."""


class StandIn(Cluster):
    """The cluster `name`, from `start` until `stop`; its kubeconfig leads to the port that is published on loopback.

    container: its control plane, which is all there is of it
    address: that container's, in the Docker network `network`
    gateway: this machine's, in the same network
    """

    @classmethod
    def start(cls, name: str, network: str) -> Self:
        """A cluster whose API server serves; also a context manager that stops it.

        Raises BinariesError, AssertionError where it does not serve in time, and DockerError.
        """
        binaries, folder = find_binaries(), Path(tempfile.mkdtemp(prefix="vkprovider-kind-"))
        make_image()
        cluster = cls(name, network, binaries, folder)
        try:
            cluster._start(binaries)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def __init__(self, name: str, network: str, binaries: Path, folder: Path) -> None:
        super().__init__(folder / "kubeconfig", binaries / "kubectl")
        self.name = name
        self.network = network
        self.container = f"{name}-control-plane"
        self.folder = folder
        self.address = self.gateway = ""
        self._inside = folder / "kubernetes"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """As `kind delete cluster`, which leaves the network; here it goes too, unless others are in it."""
        for command in (["rm", "--force", "--volumes", self.container], ["network", "rm", self.network]):
            subprocess.run(["docker", *command], capture_output=True, check=False)
        shutil.rmtree(self.folder)

    def run(self, *command: str) -> str:
        """The output of a command inside the container, where busybox's are.

        Raises DockerError.
        """
        return docker("exec", self.container, *command)

    def serves(self) -> bool:
        """Whether pods can be created: a controller has made the account that they are admitted with."""
        with suppress(KubectlError):
            return bool(self.get("--request-timeout=5s", "serviceaccounts", "default", "--namespace=default"))
        return False

    def _start(self, binaries: Path) -> None:
        self._inside.mkdir()
        docker("network", "create", self.network)
        self._create_container(binaries.resolve())
        place = inspect(self.container)["NetworkSettings"]["Networks"][self.network]
        self.address, self.gateway = place["IPAddress"], place["Gateway"]
        plane = ControlPlane(binaries.resolve(), self.folder, self.address, {}, PORT, [self.container])
        admin = json.loads(plane.kubeconfig.read_text())
        published = docker("port", self.container, str(PORT)).split()[0]
        _write(self.kubeconfig, as_kubeadm(admin, f"kind-{self.name}", f"https://{published}"))
        _write(self._inside / "admin.conf", as_kubeadm(admin, self.name, f"https://{self.container}:{PORT}"))
        script = self._inside / "start.new"
        script.write_text(start_script({n: s.command for n, s in plane.servers.items()}, self.folder))
        script.rename(script.with_suffix(""))
        try:
            eventually(self.serves, 90)
        except AssertionError as error:
            logs = "\n".join(log.read_text(errors="replace")[-2000:] for log in self.folder.glob("*.log"))
            raise AssertionError(f"{self.container} does not serve:\n{logs}") from error

    def _create_container(self, binaries: Path) -> None:
        """With kind's options that matter here (providers/docker/provision.go); its servers begin once told how."""
        mounts = f"{self.folder}:{self.folder}", f"{self._inside}:/etc/kubernetes", f"{binaries}:{binaries}:ro"
        docker(
            *("run", "--detach", "--name", self.container, "--hostname", self.container, "--network", self.network),
            *(f"--label={label.format(self.name)}" for label in LABELS),
            *(f"--volume={mount}" for mount in mounts),
            *(f"--env={name}={value}" for name, value in WITH_SHA1.items()),
            *("--user", f"{getuid()}:{getgid()}", "--publish", f"{LOOPBACK}::{PORT}/TCP", IMAGE, "sh", "-c", BEGIN),
        )


def start_script(commands: Mapping[str, Sequence[str]], folder: Path) -> str:
    """Runs the servers, and again each that ends, as a kind node's kubelet does with its static pods."""
    keep = 'keep() { while :; do "$@"; sleep 1; done; }'
    runs = [f"keep {shlex.join(command)} >>{name}.log 2>&1 &" for name, command in commands.items()]
    return "\n".join(["#!/bin/sh", f"cd {shlex.quote(str(folder))}", keep, *runs, "wait", ""])


def as_kubeadm(config: Any, cluster: str, server: str) -> Any:
    """An administrator's kubeconfig with the names that kubeadm gives, for an API server at the URL `server`."""
    user = "kubernetes-admin"
    context = f"{user}@{cluster}"
    return config | {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "clusters": [{"name": cluster, "cluster": config["clusters"][0]["cluster"] | {"server": server}}],
        "users": [config["users"][0] | {"name": user}],
    }


def inspect(container: str) -> Any:
    return json.loads(docker("container", "inspect", container))[0]


def docker(*arguments: str) -> str:
    """The output of the Docker client. Raises DockerError."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise DockerError(f"docker {arguments[0]} exited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _write(path: Path, config: Any) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2))


def main() -> None:
    """Run a stand-in until the standard input closes or a signal comes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    name = sys.argv[1] if sys.argv[1:] else "kind"
    with StandIn.start(name, name) as cluster:
        print(cluster.kubeconfig, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
