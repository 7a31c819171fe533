"""Fixtures of the tests that need a Kubernetes cluster.

VKPROVIDER_TEST_KUBECONFIG names the kubeconfig of an existing cluster, such as kind's, to be used for all tests that
do not stop the API server. All other control planes are the test run's own: built, of the version that
VKPROVIDER_TEST_KUBERNETES names; where it names none, of the programs in KUBEBUILDER_ASSETS, or else the default one.

VKPROVIDER_TEST_IDENTITY says who nodes are to the cluster: `service-account` (the default) with the roles in deploy/,
`node` with a certificate for each, or `admin`.
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
from .identities import DEPLOY, Access, service_account
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
    # The controller that makes the account is slow to come back from an outage that an earlier test has made.
    eventually(lambda: cluster.get("serviceaccounts", f"--namespace={name}")["items"], 90)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def access(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Access]:
    """The kubeconfigs that nodes go by."""
    match os.environ.get("VKPROVIDER_TEST_IDENTITY", "service-account"):
        case "admin":
            yield lambda _: cluster.kubeconfig
        case "service-account":
            with service_account(cluster, tmp_path_factory.mktemp("access")) as account:
                yield account
        case "node":
            plane: ControlPlane = request.getfixturevalue("control_plane")
            if plane is not cluster:
                pytest.fail("VKPROVIDER_TEST_IDENTITY=node needs a control plane of the test run's own")
            plane.kubectl("apply", f"--filename={DEPLOY / 'rbac-kubelet-api.yaml'}")
            yield plane.node_identity
        case other:
            pytest.fail(f"VKPROVIDER_TEST_IDENTITY={other} is none of admin, service-account, node")


@pytest.fixture(scope="session")
def image() -> None:
    """The image of the tests' containers is in the engine."""
    make_image()


@pytest.fixture(scope="module")
def node(
    cluster: Cluster, access: Access, image: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node that has joined the cluster, for the tests of one file."""
    name = f"node-{uuid4().hex[:8]}"
    with NodeProcess(cluster, name, tmp_path_factory.mktemp(name), access) as joined:
        yield joined
