"""A Kubernetes cluster as tests see it: an administrator's kubeconfig, and kubectl."""

import json
import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from .certificates import Pair


class KubectlError(RuntimeError):
    """kubectl exited with another code than 0."""

    def __init__(self, arguments: tuple[str, ...], returncode: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)} exited with {returncode}: {stderr.strip()}")
        self.returncode = returncode
        self.stderr = stderr


class Cluster:
    """The cluster that `kubeconfig` leads to with an administrator's rights."""

    def __init__(self, kubeconfig: Path, kubectl: Path, environment: Mapping[str, str] = os.environ) -> None:
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl
        self._environment = {**environment, "KUBECONFIG": str(kubeconfig)}

    def kubectl(self, *arguments: str, stdin: str = "", seconds: float = 60) -> str:
        """The standard output of kubectl. It blocks: in an asynchronous test, call it in a thread.

        Raises KubectlError, and subprocess.TimeoutExpired after `seconds`.
        """
        done = subprocess.run(
            [self._kubectl, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise KubectlError(arguments, done.returncode, done.stderr)
        return done.stdout

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        """kubectl as a process that goes on, such as a watch; what it prints is to be read from `stdout`."""
        return subprocess.Popen([self._kubectl, *arguments], env=self._environment, stdout=subprocess.PIPE, text=True)

    @property
    def program(self) -> Path:
        """kubectl itself, to be run with KUBECONFIG set to ``kubeconfig``."""
        return self._kubectl

    def get(self, *arguments: str) -> Any:
        """What `kubectl get ARGUMENTS` finds, as an object of the API."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    @cached_property
    def version(self) -> tuple[int, int]:
        """Of the API server, as (1, 34): older ones lack fields that newer ones show."""
        told = json.loads(self.kubectl("version", "--output=json"))["serverVersion"]
        return int(told["major"]), int(told["minor"].rstrip("+"))

    @property
    def url(self) -> str:
        """The URL of the API server."""
        return str(self._entry["server"])

    @property
    def ca(self) -> bytes:
        """The certificate of the authority that signed the API server's, in PEM."""
        return b64decode(self._entry["certificate-authority-data"])

    @cached_property
    def _entry(self) -> dict[str, str]:
        config = json.loads(self.kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=json"))
        return dict(config["clusters"][0]["cluster"])


def write_kubeconfig(path: Path, url: str, ca: Path, identity: Pair) -> Path:
    """A kubeconfig that holds all it needs, so that it can be copied elsewhere."""
    user = {"client-certificate-data": _encoded(identity.certificate), "client-key-data": _encoded(identity.key)}
    return write_kubeconfig_of(path, url, ca.read_bytes(), user)


def write_kubeconfig_of(path: Path, url: str, ca: bytes, user: Mapping[str, str]) -> Path:
    """A kubeconfig for whoever `user` says, such as {"token": "..."}. It is JSON, which is YAML as well."""
    cluster = {"server": url, "certificate-authority-data": b64encode(ca).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": dict(user)}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2))
    return path


def _encoded(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()
