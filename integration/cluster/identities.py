"""Who a node is to the cluster: an administrator, the service account that deploy/ sets up, or a node of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .clients import Cluster, write_kubeconfig_of

DEPLOY = Path(__file__).parents[2] / "deploy"
ACCOUNT = "vkprovider"
TOKEN_SECONDS = 7200  # as long as any test run

Access = Callable[[str], Path]
"""Gives the kubeconfig for the node of a name."""


@contextmanager
def service_account(cluster: Cluster, folder: Path) -> Iterator[Access]:
    """The ServiceAccount with its roles, as deploy/ has them. They go again from a cluster that did not have them."""
    new = not cluster.kubectl("get", "namespace", ACCOUNT, "--ignore-not-found")
    manifests = [f"--filename={path}" for path in (DEPLOY / "rbac.yaml", DEPLOY / "rbac-kubelet-api.yaml")]
    cluster.kubectl("apply", *manifests)
    try:
        kubeconfig = write_kubeconfig_of(folder / "node.conf", cluster.url, cluster.ca, {"token": token(cluster)})
        yield lambda _: kubeconfig
    finally:
        if new:
            cluster.kubectl("delete", *manifests, "--wait=false")


def token(cluster: Cluster, seconds: int = TOKEN_SECONDS) -> str:
    """A token of the ServiceAccount; the API server gives none for less than 600 seconds."""
    return cluster.kubectl("create", "token", ACCOUNT, f"--namespace={ACCOUNT}", f"--duration={seconds}s").strip()
