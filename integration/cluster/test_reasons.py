"""Why containers wait and how they ended, and a sandbox that is lost: in the API's statuses and events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node.servers import closed_port

from .clients import Cluster
from .home import Home, docker
from .nodes import IMAGE, NodeProcess, shell
from .showing import Json, container_status, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

UNTIL_TERM = "trap 'exit 0' TERM; sleep 1000 & wait"
MISSING = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]}


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Home]:
    yield Home(cluster, namespace, node)
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
    eventually(lambda: not in_docker(node), 30)


def until_it_waits(home: Home, pod: str, reason: str) -> str:
    """Wait until the app waits for that reason, and give the message."""

    def waits() -> Json:
        waiting: Json = container_status(home.status(pod), "app").get("state", {}).get("waiting", {})
        return waiting if waiting.get("reason") == reason else {}

    eventually(waits, 30)
    assert home.status(pod)["phase"] == "Pending"
    return str(waits()["message"])


def until_told(home: Home, pod: str, *events: tuple[str, str]) -> None:
    eventually(lambda: {*events} <= {*home.events(pod)})


def test_why_containers_wait(home: Home) -> None:
    away = f"127.0.0.1:{closed_port()}/none:1"
    home.create("never", {"name": "app", "image": "never:1", "imagePullPolicy": "Never"})
    home.create("away", {"name": "app", "image": away})
    home.create("named", {"name": "app", "image": "NOT:an:image"})
    home.create("configured", shell("app", "true", **MISSING))

    words = 'Container image "never:1" is not present with pull policy of Never'
    assert until_it_waits(home, "never", "ErrImageNeverPull") == words
    until_told(home, "never", ("ErrImageNeverPull", words), ("Failed", "Error: ErrImageNeverPull"))

    message = until_it_waits(home, "away", "ImagePullBackOff")
    assert message.startswith(f'Back-off pulling image "{away}": ErrImagePull: ')
    told = [("Pulling", f'Pulling image "{away}"'), ("BackOff", f'Back-off pulling image "{away}"')]
    until_told(home, "away", *told, ("Failed", "Error: ErrImagePull"), ("Failed", "Error: ImagePullBackOff"))

    words = until_it_waits(home, "named", "InvalidImageName")
    assert words.startswith('Failed to apply default image tag "NOT:an:image": ')
    until_told(home, "named", ("InspectFailed", words), ("Failed", "Error: InvalidImageName"))

    assert until_it_waits(home, "configured", "CreateContainerConfigError") == 'configmap "none" not found'
    until_told(home, "configured", ("Failed", 'Error: configmap "none" not found'))


def test_how_containers_ended(home: Home) -> None:
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    limits = {"resources": {"limits": {"memory": "16Mi"}}}
    home.create(
        "ended",
        shell("words", "echo last words >/dev/termination-log"),
        shell("log", "echo from the log; exit 3", **fallback),
        shell("unstartable", "") | {"command": ["/no/such/program"]},
        shell("hog", "") | {"command": ["tail", "/dev/zero"]} | limits,
    )
    home.until_phase("Failed", "ended", seconds=60)
    status = home.status("ended")
    ends = {name: container_status(status, name)["state"]["terminated"] for name in ("words", "log", "hog")}
    shown = {name: (end["exitCode"], end["reason"], end.get("message", "")) for name, end in ends.items()}
    assert shown == {
        "words": (0, "Completed", "last words\n"),
        "log": (3, "Error", "from the log\n"),
        "hog": (137, "OOMKilled", ""),
    }
    unstartable = container_status(status, "unstartable")["state"]["terminated"]
    assert (unstartable["exitCode"], unstartable["reason"]) == (128, "StartError")
    assert "/no/such/program" in unstartable["message"]
    eventually(lambda: any(r == "Failed" and "/no/such/program" in m for r, m in home.events("ended")))


def test_who_with_what_and_where(home: Home, cluster: Cluster) -> None:
    resources = {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}}
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/r", "readOnly": True}]
    home.create(
        "shown",
        shell("app", UNTIL_TERM, resources=resources, volumeMounts=mounts),
        volumes=[{"name": "v", "emptyDir": {}}],
        securityContext={"runAsUser": 1000, "runAsGroup": 2000, "supplementalGroups": [3000]},
    )
    home.until_phase("Running", "shown")
    app = container_status(home.status("shown"), "app")
    if cluster.version >= (1, 31):  # which shows it by default
        assert (app["user"]["linux"]["uid"], app["user"]["linux"]["gid"]) == (1000, 2000)
    assert (app["resources"], app["allocatedResources"]) == (resources, resources["requests"])
    shown = {mount["mountPath"]: mount.get("recursiveReadOnly") for mount in app["volumeMounts"]}
    token = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert shown == {"/v": None, "/r": "Disabled", token: "Disabled"}
    assert (app["image"], app["started"], app["ready"]) == (IMAGE, True, True)
    assert app["containerID"] == f"docker://{home.container('shown', 'app')}"


def test_a_lost_sandbox(home: Home) -> None:
    init, side = shell("init", "true"), shell("side", UNTIL_TERM) | {"restartPolicy": "Always", "image": IMAGE}
    inits = [init | {"image": IMAGE}, side]
    home.create("again", shell("app", UNTIL_TERM), initContainers=inits, restartPolicy="Always")
    home.create("over", shell("app", "trap 'exit 4' TERM; sleep 1000 & wait"), initContainers=inits)
    home.until_phase("Running", "again", "over")
    for name in ("again", "over"):
        docker("kill", home.container(name, "POD"))
    home.until_phase("Failed", "over")
    eventually(
        lambda: all(
            container_status(home.status("again"), name)["restartCount"] == 1 for name in ("init", "side", "app")
        ),
        30,
    )
    home.until_phase("Running", "again")
    until_told(home, "again", ("SandboxChanged", "Pod sandbox changed, it will be killed and re-created."))
    assert "SandboxChanged" not in {reason for reason, _ in home.events("over")}
    assert container_status(home.status("over"), "app")["restartCount"] == 0
