"""``vkprovider node --kind``: a node that joins a kind cluster, found by its labels on the node's own engine."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugins.real_parts import missing
from vkprovider.model.labels import NODE

from .go_programs import BuildError
from .kind.command import find_kind, kind
from .kind.stand_in import LABELS, StandIn, docker, inspect
from .nodes import IMAGE, ROOT, TOLERATIONS, NodeProcess, on, shell
from .probes import free_ports
from .processes import PROGRAM
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

READY = "--for=condition=Ready"
DEPLOY = ROOT / "deploy"
TUTORIAL = ROOT / "docs" / "tutorials" / "kind.md"


def new_name() -> str:
    return f"vk-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def kind_cluster() -> Iterator[StandIn]:
    name = new_name()
    with StandIn.start(name, name) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def kind_node(kind_cluster: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    name = f"node-{uuid.uuid4().hex[:8]}"
    flags = ("--kind", kind_cluster.name, "--port", str(free_ports(1)[0]))
    with NodeProcess(kind_cluster, name, tmp_path_factory.mktemp(name), None, *flags) as joined:
        yield joined
        kind_cluster.kubectl("delete", "pods,jobs", "--all", "--timeout=60s", seconds=70)


@pytest.fixture
def web(kind_cluster: StandIn, kind_node: NodeProcess) -> str:
    """The name of a pod that serves on port 8080."""
    name = f"web-{uuid.uuid4().hex[:8]}"
    server = shell("web", "mkdir /www && echo it works >/www/index.html && exec httpd -f -p 8080 -h /www")
    spec = on(kind_node.name, server)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    kind_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kind_cluster.kubectl("wait", f"pod/{name}", READY, "--timeout=60s", seconds=70)
    return name


def example_image(job: Any) -> str:
    return str(job["spec"]["template"]["spec"]["containers"][0]["image"])


def pod_status(cluster: StandIn, name: str) -> Any:
    return cluster.get(f"pod/{name}")["status"]


def refusal(*flags: str) -> tuple[int, str]:
    """The exit code and the words of a node that ends by itself."""
    command = [PROGRAM, "node", "--nodename", new_name(), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip().splitlines()[-1]


@contextmanager
def listener(host: str) -> Iterator[int]:
    """Something that greets whoever connects to a port of this machine; the port."""
    with socket.create_server((host, 0)) as server:

        def greet() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(b"hello\n")
            except OSError:  # the server is closed
                return

        thread = threading.Thread(target=greet)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


# --- the stand-in -----------------------------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_kind_itself_takes_the_stand_in_for_a_cluster(kind_cluster: StandIn, tmp_path: Path) -> None:
    try:
        find_kind()
    except BuildError as exc:
        missing(str(exc))
    name = kind_cluster.name

    def ask(*arguments: str) -> str:
        return kind(tmp_path, kind_cluster.network, *arguments)

    assert name in ask("get", "clusters").split()
    assert ask("get", "nodes", "--name", name).split() == [f"{name}-control-plane"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(ask("get", "kubeconfig", "--name", name))
    found = kind_cluster.kubectl("--kubeconfig", str(kubeconfig), "config", "current-context").strip()
    assert found == f"kind-{name}"
    kind_cluster.kubectl("--kubeconfig", str(kubeconfig), "auth", "can-i", "*", "*")
    assert f"server: https://{name}-control-plane:6443\n" in ask("get", "kubeconfig", "--internal", "--name", name)


# --- the node ---------------------------------------------------------------------------------------------------


def test_the_node_advertises_an_address_that_the_control_plane_reaches(
    kind_cluster: StandIn, kind_node: NodeProcess
) -> None:
    addresses = kind_cluster.get(f"node/{kind_node.name}")["status"]["addresses"]
    (address,) = [each["address"] for each in addresses if each["type"] == "InternalIP"]
    assert address == kind_cluster.gateway
    with listener(address) as port:
        assert kind_cluster.run("nc", "-w", "5", address, str(port)) == "hello\n"


def test_the_jobs_of_the_tutorial_and_of_the_examples_complete(kind_cluster: StandIn, kind_node: NodeProcess) -> None:
    """The seed's two forms at once: ten seconds, and thirty until the sidecar, which ignores TERM, is killed."""
    tutorial = yaml.safe_load(TUTORIAL.read_text().partition("```yaml\n")[2].partition("```")[0])
    marked = yaml.safe_load((ROOT / "deploy" / "examples" / "test-sidecar-marked.yaml").read_text())
    marked["metadata"]["name"] = "test-marked"
    marked["spec"]["template"]["spec"] |= {"nodeSelector": {"type": "virtual-kubelet"}, "tolerations": TOLERATIONS}
    subprocess.run([ROOT / "integration" / "setup" / "busybox-image.sh", example_image(marked)], check=True)
    for job in (tutorial, marked):
        kind_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(job))
    kind_cluster.kubectl("wait", "jobs", "--all", "--for=condition=Complete", "--timeout=90s", seconds=100)
    assert re.search(r"^test +Complete +1/1 ", kind_cluster.kubectl("get", "job", "test", "--no-headers"))
    described = kind_cluster.kubectl("describe", "pod", "--selector=job-name=test")
    assert re.search(r"Message: +Force this container to be success\(137, Error, \)\n +Exit Code: +0\n", described)


def test_pods_and_cluster_nodes_reach_each_other(kind_cluster: StandIn, kind_node: NodeProcess, web: str) -> None:
    status = pod_status(kind_cluster, web)
    container = status["containerStatuses"][0]["containerID"].removeprefix("docker://")
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {status['podIP']} 8080"
    assert kind_cluster.run("sh", "-c", ask).endswith("it works\n")
    for host in (kind_cluster.address, kind_cluster.container):
        docker("exec", container, "sh", "-c", f"nc -w 5 {host} 6443 </dev/null")
    assert status["hostIP"] == kind_cluster.gateway


def test_a_pod_finds_the_api_server_where_it_is_told(kind_cluster: StandIn, web: str) -> None:
    token = "$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)"
    server = "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT"
    header = f'--header "Authorization: Bearer {token}"'
    ask = f"echo {server}; wget -q -O - --no-check-certificate {header} {server}/version"
    told, _, answer = kind_cluster.kubectl("exec", web, "--", "sh", "-c", ask).partition("\n")
    assert told == f"https://{kind_cluster.address}:6443"
    assert json.loads(answer)["major"] == "1"


def test_the_clusters_api_server_reaches_the_node(kind_cluster: StandIn, web: str) -> None:
    assert kind_cluster.kubectl("exec", web, "--", "cat", "/www/index.html") == "it works\n"


def test_the_kubeconfig_that_was_found_is_for_nobody_elses_eyes(kind_node: NodeProcess) -> None:
    (found,) = kind_node.folder.rglob("kubeconfig.json")
    assert found.stat().st_mode & 0o077 == 0


# --- which cluster ----------------------------------------------------------------------------------------------


def test_a_cluster_of_another_name(kind_cluster: StandIn, tmp_path: Path) -> None:
    code, words = refusal("--kind", "no-such", "--state-dir", str(tmp_path))
    assert code == 125
    assert words.startswith("vkprovider: there is no kind cluster no-such on this Docker engine; there is ")
    assert kind_cluster.name in words


def test_the_only_cluster_needs_no_name_and_of_two_one_must_be_chosen(kind_cluster: StandIn, tmp_path: Path) -> None:
    found = set(docker("ps", "--all", "--filter=label=io.x-k8s.kind.cluster", "--format={{.Names}}").split())
    if found == {kind_cluster.container}:  # whoever runs the tests may have a cluster of their own
        with NodeProcess(kind_cluster, new_name(), tmp_path, None, "--port", str(free_ports(1)[0]), "--kind"):
            pass
    other = new_name()
    labels = [f"--label={label.format(other)}" for label in LABELS]
    docker("create", *labels, "--name", f"{other}-control-plane", IMAGE)
    try:
        code, words = refusal("--kind", "--state-dir", str(tmp_path))
        assert code == 125
        assert words.startswith("vkprovider: there are several kind clusters on this Docker engine, choose one: --kind")
        assert {other, kind_cluster.name} <= set(words.rpartition(" ")[2].split("|"))
        code, words = refusal("--kind", other, "--state-dir", str(tmp_path))
        start = f"start it with: docker start {other}-control-plane"
        assert (code, words) == (125, f"vkprovider: kind cluster {other} is not running: {start}")
    finally:
        docker("rm", f"{other}-control-plane")


# --- vkprovider itself in a container ---------------------------------------------------------------------------


def run_in_container(image: str, cluster: StandIn, node: str, folder: Path) -> None:
    """As docs/how-to/run-as-a-service.md has it."""
    environment = os.environ | {"IMAGE": image, "NAME": node, "STATE_DIR": str(folder)}
    flags = ["--nodename", node, "--kind", cluster.name, "--port", str(free_ports(1)[0])]
    subprocess.run([DEPLOY / "docker" / "run-node.sh", *flags], check=True, env=environment, capture_output=True)


@pytest.mark.timeout(900)
def test_a_node_in_a_container_runs_pods_beside_itself(
    kind_cluster: StandIn, own_image: str, image: None, tmp_path: Path
) -> None:
    node, pod = new_name(), "beside"
    told = shell("app", "exec sleep 600")
    volumes = [{"name": "told", "configMap": {"name": pod}}]
    spec = on(node, told | {"volumeMounts": [{"name": "told", "mountPath": "/told"}]}, volumes=volumes)
    kind_cluster.kubectl("create", "configmap", pod, "--from-literal=words=mounted")
    run_in_container(own_image, kind_cluster, node, tmp_path)
    try:
        eventually(lambda: node in kind_cluster.kubectl("get", "nodes", "--output=name"), 60)
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": spec}
        kind_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        kind_cluster.kubectl("wait", f"pod/{pod}", READY, "--timeout=60s", seconds=70)
        container = pod_status(kind_cluster, pod)["containerStatuses"][0]["containerID"].removeprefix("docker://")
        assert docker("exec", container, "cat", "/told/words") == "mounted"
        docker("stop", "--time=30", node)
        assert inspect(node)["State"]["ExitCode"] == 0
        assert inspect(container)["State"]["Running"]
        docker("start", node)
        kind_cluster.kubectl("delete", f"pod/{pod}", "--timeout=60s", seconds=70)
    finally:
        docker("rm", "--force", node, *docker("ps", "--all", "--quiet", f"--filter=label={NODE}={node}").split())
        kind_cluster.kubectl("delete", f"node/{node}", f"pod/{pod}", "--ignore-not-found", "--force")


@pytest.mark.timeout(900)
def test_a_container_without_the_hosts_state_directory_is_told_so(
    kind_cluster: StandIn, own_image: str, image: None, tmp_path: Path
) -> None:
    node, folder = new_name(), tmp_path / "state"
    socket_path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    container = ["--rm", "--network=host", f"--volume={socket_path}:/var/run/docker.sock", own_image]
    command = ["docker", "run", *container, "node", "--nodename", node, "--kind", kind_cluster.name]
    command += ["--state-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 125
    assert done.stderr.splitlines()[-1] == (
        f"vkprovider: the Docker engine does not see the state directory {folder} as vkprovider does: run vkprovider "
        f"on the engine's machine; if in a container, mount the directory at the same path: -v {folder}:{folder}"
    )
    assert not folder.exists()
