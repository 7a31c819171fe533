"""Fixtures of the tests that need a Kubernetes cluster.

VKPROVIDER_TEST_KUBECONFIG names the kubeconfig of an existing cluster, such as kind's, to be used for all tests that
do not stop the API server. All other control planes are the test run's own: built, of the version that
VKPROVIDER_TEST_KUBERNETES names; where it names none, of the programs in KUBEBUILDER_ASSETS, or else the default one.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .binaries import find_binaries
from .clients import Cluster
from .controlplane import ControlPlane
from .nodes import NodeProcess, make_image
from .waiting import eventually


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """The session's own control plane: servers may be stopped, if the test starts them again."""
    with ControlPlane.start() as plane:
        yield plane


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The user's cluster, or else the session's control plane."""
    if kubeconfig := os.environ.get("VKPROVIDER_TEST_KUBECONFIG"):
        return Cluster(Path(kubeconfig), Path(shutil.which("kubectl") or find_binaries() / "kubectl"))
    plane: ControlPlane = request.getfixturevalue("control_plane")
    return plane


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace where pods are admitted; it goes with all it holds."""
    name = f"test-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    eventually(lambda: cluster.get("serviceaccounts", f"--namespace={name}")["items"])
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def access(cluster: Cluster) -> Path:
    """The kubeconfig that nodes go by."""
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def image() -> None:
    """The image of the tests' containers is in the engine."""
    make_image()


@pytest.fixture(scope="module")
def node(
    cluster: Cluster, access: Path, image: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node that has joined the cluster, for the tests of one file."""
    name = f"node-{uuid4().hex[:8]}"
    with NodeProcess(cluster, name, tmp_path_factory.mktemp(name), access) as joined:
        yield joined
