"""The test control plane itself: it is real, quick, and gone when it ends."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import docker
import pytest
from docker.models.networks import Network

from .binaries import BUILD, BinariesError, find_binaries
from .clients import Cluster, KubectlError
from .controlplane import ControlPlane
from .waiting import eventually

pytestmark = pytest.mark.cluster

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {type: virtual-kubelet}
      containers: [{name: main, image: busybox, command: ["true"]}]
"""


def is_built() -> bool:
    return "VKPROVIDER_TEST_KUBERNETES" in os.environ or "KUBEBUILDER_ASSETS" not in os.environ


def processes_of(folder: Path) -> list[int]:
    """The processes whose command names something in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def test_it_is_healthy(cluster: Cluster) -> None:
    assert cluster.kubectl("get", "--raw", "/healthz") == "ok"


def test_its_version_is_the_one_asked_for(control_plane: ControlPlane) -> None:
    version = json.loads(control_plane.kubectl("version", "--output=json"))
    served = version["serverVersion"]["gitVersion"]
    assert served == version["clientVersion"]["gitVersion"]
    if is_built():
        versions = json.loads(BUILD.with_name("versions.json").read_text())
        wanted = os.environ.get("VKPROVIDER_TEST_KUBERNETES", versions["default"])
        assert served == f"v{versions['kubernetes'][wanted]}"


def test_its_certificates_please_the_strictest_client(control_plane: ControlPlane) -> None:
    trust = ssl.create_default_context(cadata=control_plane.ca.decode())
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    with urlopen(f"{control_plane.url}/readyz", context=trust, timeout=10) as answer:
        assert answer.read() == b"ok"
    with pytest.raises(URLError, match="certificate verify failed"):
        urlopen(f"{control_plane.url}/readyz", timeout=10)


def test_a_job_without_a_node_has_a_pod_that_waits(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=JOB)

    def unschedulable() -> bool:
        pods = cluster.get("pods", f"--namespace={namespace}", "--selector=job-name=once")["items"]
        conditions = [condition for pod in pods for condition in pod["status"].get("conditions", ())]
        return any(condition.get("reason") == "Unschedulable" for condition in conditions)

    eventually(unschedulable)
    (pod,) = cluster.get("pods", f"--namespace={namespace}")["items"]
    assert pod["status"]["phase"] == "Pending"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
    assert any("serviceAccountToken" in str(volume) for volume in pod["spec"]["volumes"])


def test_a_node_may_do_what_the_node_authorizer_lets_it(control_plane: ControlPlane) -> None:
    node = control_plane.identity("system:node:one", ["system:nodes"])
    assert control_plane.kubectl(f"--kubeconfig={node}", "auth", "can-i", "create", "nodes").strip() == "yes"
    with pytest.raises(KubectlError, match="forbidden"):
        control_plane.kubectl(f"--kubeconfig={node}", "get", "deployments")


def test_an_outage_of_the_api_server_begins_and_ends(control_plane: ControlPlane) -> None:
    url = control_plane.url
    control_plane.kubectl("create", "configmap", "kept", "--from-literal=key=value")
    control_plane.stop_apiserver()
    try:
        with pytest.raises(KubectlError, match="refused"):
            control_plane.kubectl("get", "--raw", "/healthz")
    finally:
        control_plane.start_apiserver()
    assert control_plane.url == url
    assert control_plane.get("configmap", "kept")["data"] == {"key": "value"}
    control_plane.kubectl("delete", "configmap", "kept")


def test_it_starts_in_seconds_and_leaves_nothing_when_it_stops() -> None:
    begun = time.monotonic()
    with ControlPlane.start() as plane:
        assert time.monotonic() - begun < 30
        assert {server.pid for server in plane.servers.values()} == set(processes_of(plane.folder))
        plane.servers["kube-apiserver"].send(signal.SIGSTOP)
        with pytest.raises(KubectlError, match=r"request canceled|deadline exceeded"):
            plane.kubectl("get", "--raw", "/healthz", "--request-timeout=1s")
    assert not processes_of(plane.folder)
    assert not plane.folder.exists()


def test_no_server_outlives_the_process_that_started_it() -> None:
    if not is_built():
        pytest.skip("only the built servers notice that it is gone")
    command = [sys.executable, "-m", "integration.cluster.controlplane"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        kubeconfig = owner.stdout.readline().strip()
        assert kubeconfig
        folder = Path(kubeconfig).parent
        assert len(processes_of(folder)) == 4
        owner.kill()
    eventually(lambda: not processes_of(folder))
    shutil.rmtree(folder)


@pytest.fixture
def bridge() -> Iterator[Network]:
    engine = docker.from_env()
    network = engine.networks.create(f"vkprovider-test-{uuid4().hex[:8]}", driver="bridge")
    network.reload()
    yield network
    network.remove()
    engine.close()


@pytest.fixture
def empty_image() -> Iterator[str]:
    engine = docker.from_env()
    name = f"vkprovider-test-{uuid4().hex[:8]}:empty"
    repository, tag = name.split(":")
    engine.api.import_image_from_data(bytes(1024), repository=repository, tag=tag)
    yield name
    engine.images.remove(name)
    engine.close()


def test_on_the_address_of_a_bridge_containers_reach_it(bridge: Network, empty_image: str) -> None:
    address = bridge.attrs["IPAM"]["Config"][0]["Gateway"]
    with ControlPlane.start(address=address) as plane:
        slices = plane.get("endpointslices", "--selector=kubernetes.io/service-name=kubernetes")["items"]
        assert [endpoint["addresses"] for each in slices for endpoint in each["endpoints"]] == [[address]]
        engine = docker.from_env()
        container = engine.containers.run(
            empty_image,
            ["/bin/kubectl", "--kubeconfig=/etc/admin.conf", "get", "--raw", "/readyz"],
            detach=True,
            network=bridge.name,
            volumes=[f"{find_binaries()}:/bin:ro", f"{plane.kubeconfig}:/etc/admin.conf:ro"],
        )
        try:
            container.wait(timeout=30)
            assert container.logs() == b"ok"
        finally:
            container.remove(force=True)
            engine.close()


def test_incomplete_binaries_are_refused_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etcd").touch()
    (tmp_path / "kube-apiserver").touch()
    monkeypatch.delenv("VKPROVIDER_TEST_KUBERNETES", raising=False)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(BinariesError, match="lacks kube-controller-manager, kube-scheduler, kubectl: unset it"):
        find_binaries()


def test_what_is_not_built_is_said_with_the_command_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BinariesError, match=r"is not built: run .*build\.py 1\.34"):
        find_binaries("1.34")
