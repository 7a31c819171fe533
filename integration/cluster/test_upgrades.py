"""What OpenKruise asks of a node: upgrades in place, hot upgrades, ends of a Job's sidecars, launch priorities.

The tests play OpenKruise's part, step by step as its controllers of 1.8 write: one PUT of the pod for images and
annotations together, the status for conditions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .clients import Cluster
from .home import Home, docker, ends, now
from .nodes import IMAGE, NodeProcess, on, shell
from .showing import Json, Showing, apply, container_status, pod, showing, until_nothing_is_left
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

MESH, NEWER, EMPTY, EXIT = (f"vkprovider-mesh:{tag}" for tag in ("1", "2", "empty", "exit"))
BUSY = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
DEAF = "[ -e /exit ] && exit 0; trap '' TERM; while :; do sleep 0.1; done"  # ends only in the image EXIT
MAKE_EXIT = r"touch /exit; printf '#!/bin/sh\nexec sleep infinity\n' >/bin/only-here; chmod +x /bin/only-here"
GATE = "KruisePodReady"


@pytest.fixture(scope="module", autouse=True)
def images(image: None) -> Iterator[None]:
    """The sidecar's: two versions, the idle one, and one in which the sidecar's command ends."""
    for name in (MESH, NEWER, EMPTY):
        docker("tag", IMAGE, name)
    made = docker("create", IMAGE, "sh", "-c", MAKE_EXIT)
    try:
        docker("start", "--attach", made)
        docker("commit", made, EXIT)
    finally:
        docker("rm", made)
    yield
    docker("rmi", MESH, NEWER, EMPTY, EXIT)


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Home]:
    yield Home(cluster, namespace, node)
    cluster.kubectl("delete", "jobs,pods", "--all", f"--namespace={namespace}", "--grace-period=1", "--wait=false")
    until_nothing_is_left(node)


class Kruise:
    """OpenKruise's controllers, as far as they write to pods."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._in = f"--namespace={namespace}"
        self.namespace = namespace

    def get(self, name: str) -> Json:
        found: Json = self._cluster.get("pod", name, self._in)
        return found

    def update(self, name: str, images: dict[str, str], annotations: dict[str, str] | None = None) -> None:
        """Images of containers and annotations, in one PUT."""
        raw = self.get(name)
        del raw["metadata"]["resourceVersion"]
        raw["metadata"].setdefault("annotations", {}).update(annotations or {})
        for container in raw["spec"]["containers"]:
            container["image"] = images.get(container["name"], container["image"])
        self._cluster.kubectl("replace", self._in, "--filename=-", stdin=json.dumps(raw))

    def say(self, name: str, condition: str, **status: Any) -> None:
        """A condition of the pod is True."""
        stands = {"type": condition, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        patch = json.dumps({"status": {"conditions": [stands], **status}})
        self._cluster.kubectl("patch", "pod", name, self._in, "--subresource=status", f"--patch={patch}")

    def is_updated(self, name: str, container: str, recorded: str) -> bool:
        """Whether an update is seen to be over (sidecarset_control.go IsSidecarContainerUpdateCompleted), and ready."""
        raw = self.get(name)
        (spec,) = (c for c in raw["spec"]["containers"] if c["name"] == container)
        status = container_status(raw["status"], container)
        assert len(raw["spec"]["containers"]) == len(raw["status"]["containerStatuses"])
        if status["imageID"] == recorded and status["image"] != spec["image"]:
            return False
        return bool(status["ready"]) and conditions(raw["status"])["Ready"] == "True"

    def logs(self, name: str, container: str) -> str:
        return self._cluster.kubectl("logs", name, f"--container={container}", self._in)


@pytest.fixture
def kruise(cluster: Cluster, namespace: str) -> Kruise:
    return Kruise(cluster, namespace)


def conditions(status: Json) -> dict[str, str]:
    return {each["type"]: each["status"] for each in status.get("conditions", ())}


@contextmanager
def untouched(cluster: Cluster, home: Home, name: str) -> Iterator[Showing]:
    """The pod stays Ready all the time that the block takes, and its app is the same and runs on."""
    before = container_status(home.status(name), "app")
    with showing(cluster, home.namespace) as shown:
        yield shown
    statuses = shown.statuses(name)
    assert len(statuses) > 1
    for status in statuses:
        app = container_status(status, "app")
        assert (app["containerID"], app["restartCount"], app["state"]) == (before["containerID"], 0, before["state"])
        assert app["ready"] is True
        assert conditions(status)["Ready"] == conditions(status)["ContainersReady"] == "True"
        assert status["phase"] == "Running"
        assert {next(iter(each["state"])) for each in status["containerStatuses"]} == {"running"}


def runs(home: Home, name: str, container: str, image: str) -> bool:
    """Whether the newest instance of a container runs, and has that image."""
    shown = docker("inspect", "--format={{.Config.Labels}} {{.State.Running}}", home.container(name, container))
    return f"vkprovider.image:{image} " in shown and shown.endswith("true")


def env(**sources: Json | str) -> list[Json]:
    return [{"name": n} | ({"value": s} if isinstance(s, str) else {"valueFrom": s}) for n, s in sources.items()]


def of_config_map(name: str, key: str) -> Json:
    return {"configMapKeyRef": {"name": name, "key": key}}


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_cold_upgrade(cluster: Cluster, namespace: str, home: Home, kruise: Kruise) -> None:
    """U1 to U4 and U7 to U9, under the policy Never; and an image that cannot be had costs the old run nothing."""
    apply(cluster, namespace, config_map("settings", level="one"))
    agent = shell("agent", f"echo level=$LEVEL; {BUSY}", image=MESH, env=env(LEVEL=of_config_map("settings", "level")))
    home.create("cold", agent, shell("app", BUSY), readinessGates=[{"conditionType": GATE}])
    eventually(lambda: conditions(home.status("cold")).get("ContainersReady") == "True")
    assert conditions(home.status("cold"))["Ready"] == "False"
    kruise.say("cold", GATE)
    eventually(lambda: conditions(home.status("cold"))["Ready"] == "True")
    recorded = container_status(home.status("cold"), "agent")
    apply(cluster, namespace, config_map("settings", level="two"))
    with untouched(cluster, home, "cold") as shown:
        kruise.update("cold", {"agent": "127.0.0.1:1/nowhere:1"})
        eventually(lambda: ("Failed", "Error: ErrImagePull") in home.events("cold"))
        assert not kruise.is_updated("cold", "agent", recorded["imageID"])
        state = {"filebeat": {"lastContainerStatuses": {"agent": {"imageID": recorded["imageID"]}}}}
        kruise.update("cold", {"agent": NEWER}, {"kruise.io/sidecarset-inplace-update-state": json.dumps(state)})
        kruise.say("cold", "SidecarSetUpgradable")
        eventually(lambda: runs(home, "cold", "agent", NEWER), 5)
        eventually(lambda: kruise.is_updated("cold", "agent", recorded["imageID"]), 5)
        eventually(lambda: shown.last("cold") == home.status("cold"))
    agent = container_status(home.status("cold"), "agent")
    assert (agent["image"], agent["restartCount"]) == (NEWER, 1)
    assert agent["imageID"].startswith("docker://sha256:")
    assert agent["containerID"] != recorded["containerID"]
    assert agent["lastState"]["terminated"]["containerID"] == recorded["containerID"]
    assert kruise.logs("cold", "agent") == "level=two\n"
    killed = [message for reason, message in home.events("cold") if reason == "Killing"]
    assert killed == ["Container agent definition changed, will be restarted"]
    assert {GATE: "True", "SidecarSetUpgradable": "True"}.items() <= conditions(home.status("cold")).items()


def version(name: str) -> list[Json]:
    """The variables of a twin."""
    fields = {"SIDECARSET_VERSION": "version", "SIDECARSET_VERSION_ALT": "versionalt"}
    path = "metadata.annotations['{}.sidecarset.kruise.io/{}']"
    return env(**{var: {"fieldRef": {"fieldPath": path.format(key, name)}} for var, key in fields.items()})


def versions(**of: int) -> dict[str, str]:
    """Annotations: versions(mesh_1=1) is the version of mesh-1, versions(alt_mesh_1=0) that of its twin."""
    kinds = {name: ("versionalt" if name.startswith("alt_") else "version") for name in of}
    return {
        f"{kinds[name]}.sidecarset.kruise.io/{name.removeprefix('alt_').replace('_', '-')}": str(value)
        for name, value in of.items()
    }


def working(twin: str) -> dict[str, str]:
    return {"kruise.io/sidecarset-working-hotupgrade-container": json.dumps({"mesh": twin})}


# The new twin's postStart takes over from the old one: here, until the test says that it has.
MIGRATE = (
    "[ $SIDECARSET_VERSION_ALT -gt 0 ] && [ $SIDECARSET_VERSION -gt $SIDECARSET_VERSION_ALT ] || exit 0; "
    "until [ -e /told ]; do sleep 0.1; done"
)


def twin(name: str, image: str) -> Json:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", MIGRATE]}}}
    script = f"echo version=$SIDECARSET_VERSION alt=$SIDECARSET_VERSION_ALT; {BUSY}"
    return shell(name, script, image=image, env=version(name), lifecycle=hook)


def test_a_hot_upgrade(cluster: Cluster, namespace: str, home: Home, kruise: Kruise) -> None:
    """B20, U4 to U6."""
    spec = on(home.node.name, twin("mesh-1", MESH), twin("mesh-2", EMPTY), shell("app", BUSY), restartPolicy="Always")
    injected = versions(mesh_1=1, alt_mesh_1=0, mesh_2=0, alt_mesh_2=1) | working("mesh-1")
    apply(cluster, namespace, pod("hot", spec, annotations=injected))
    eventually(lambda: conditions(home.status("hot")).get("Ready") == "True")
    assert [kruise.logs("hot", name) for name in ("mesh-1", "mesh-2")] == ["version=1 alt=0\n", "version=0 alt=1\n"]
    recorded = container_status(home.status("hot"), "mesh-2")["imageID"]
    with untouched(cluster, home, "hot") as shown:
        kruise.update("hot", {"mesh-2": NEWER}, versions(mesh_2=77, alt_mesh_2=1, alt_mesh_1=77) | working("mesh-2"))
        kruise.say("hot", "SidecarSetUpgradable")
        eventually(lambda: runs(home, "hot", "mesh-2", NEWER), 5)
        eventually(lambda: docker("logs", home.container("hot", "mesh-2")) == "version=77 alt=1")  # and takes over
        mesh = container_status(home.status("hot"), "mesh-2")
        assert (mesh["image"], mesh["restartCount"], mesh["ready"]) == (EMPTY, 0, True)
        assert not kruise.is_updated("hot", "mesh-2", recorded)
        home.tell("hot", "mesh-2")
        eventually(lambda: kruise.is_updated("hot", "mesh-2", recorded))
        kruise.update("hot", {"mesh-1": EMPTY}, versions(mesh_1=0, alt_mesh_2=0))
        eventually(lambda: kruise.is_updated("hot", "mesh-1", recorded))
        eventually(lambda: shown.last("hot") == home.status("hot"))
    assert kruise.logs("hot", "mesh-1") == "version=0 alt=77\n"
    assert kruise.logs("hot", "mesh-2") == "version=77 alt=1\n"
    twins = [container_status(home.status("hot"), name) for name in ("mesh-1", "mesh-2")]
    assert [(each["image"], each["restartCount"]) for each in twins] == [(EMPTY, 1), (NEWER, 1)]
    killed = [message for reason, message in home.events("hot") if reason == "Killing"]
    assert killed == [f"Container {name} definition changed, will be restarted" for name in ("mesh-2", "mesh-1")]
    assert conditions(home.status("hot"))["SidecarSetUpgradable"] == "True"


def job(node: str, *containers: Json) -> Json:
    """A Job that makes one pod; it ends the node's way, with a grace of two seconds."""
    spec = {"backoffLimit": 0, "template": {"spec": on(node, *containers)}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec}


def until_job(cluster: Cluster, namespace: str, condition: str) -> None:
    cluster.kubectl("wait", "job/job", f"--for=condition={condition}", f"--namespace={namespace}", "--timeout=40s")


def until_app_is_over(cluster: Cluster, namespace: str) -> str:
    """The name of the Job's pod."""

    def over() -> list[str]:
        found = cluster.get("pods", f"--namespace={namespace}", "--selector=job-name=job")["items"]
        ended = [raw for raw in found if container_status(raw["status"], "app").get("state", {}).get("terminated")]
        return [raw["metadata"]["name"] for raw in ended]

    eventually(over)
    return over()[0]


def test_a_sidecar_of_a_job_gives_way_to_an_image_that_ends(
    cluster: Cluster, namespace: str, home: Home, kruise: Kruise
) -> None:
    """T1: the sidecar heeds no signal, so its run ends with 137; what is told of it is the end of the next one."""
    tail = shell("tail", DEAF, image=MESH, env=env(KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE=EXIT))
    with showing(cluster, namespace) as shown:
        apply(cluster, namespace, job(home.node.name, tail, shell("app", "sleep 1")))
        name = until_app_is_over(cluster, namespace)
        shown.until(name, "tail", "running")
        kruise.update(name, {"tail": EXIT})
        until_job(cluster, namespace, "Complete")
        shown.until_phase(name, "Succeeded")
    assert shown.states(name, "tail") in (["waiting", "running", "terminated"], ["running", "terminated"])
    assert shown.phases(name)[-2:] == ["Running", "Succeeded"]
    tail = container_status(shown.last(name), "tail")
    assert (tail["image"], tail["restartCount"], tail["state"]["terminated"]["exitCode"]) == (EXIT, 1, 0)
    assert tail["lastState"]["terminated"]["exitCode"] == 137


def test_an_image_that_lacks_the_sidecars_command_fails_the_job(
    cluster: Cluster, namespace: str, home: Home, kruise: Kruise
) -> None:
    """T3."""
    tail = {"name": "tail", "image": EXIT, "command": ["/bin/only-here"]}
    apply(cluster, namespace, job(home.node.name, tail, shell("app", "sleep 1")))
    name = until_app_is_over(cluster, namespace)
    kruise.update(name, {"tail": MESH})
    until_job(cluster, namespace, "Failed")
    ended = container_status(home.status(name), "tail")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")


def test_a_pod_that_openkruise_calls_over_is_over(cluster: Cluster, namespace: str, home: Home, kruise: Kruise) -> None:
    """T2: as 1.8.0 does on nodes of all kinds while the sidecar still runs. Nothing takes that back."""
    tail = shell("tail", DEAF, image=MESH, env=env(KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE=EXIT))
    with showing(cluster, namespace) as shown:
        home.create("over", tail, shell("app", "true"))
        shown.until("over", "app", "terminated")
        uid = home.uid("over")
        kruise.say("over", "SidecarTerminated", phase="Succeeded")
        shown.until("over", "tail", "terminated")
    assert shown.phases("over")[-2:] == ["Running", "Succeeded"]
    assert conditions(shown.last("over"))["SidecarTerminated"] == "True"
    assert conditions(shown.last("over"))["Ready"] == "False"
    eventually(lambda: not docker("ps", "--quiet", f"--filter=label=io.kubernetes.pod.uid={uid}"))


def test_a_sidecar_that_nobody_else_ends_is_ended_with_the_job(cluster: Cluster, namespace: str, home: Home) -> None:
    """T4: OpenKruise leaves one with the plain mark alone on virtual nodes."""
    tail = shell("tail", DEAF, image=MESH, env=env(KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT="true"))
    apply(cluster, namespace, job(home.node.name, tail, shell("app", "true")))
    name = until_app_is_over(cluster, namespace)
    until_job(cluster, namespace, "Complete")
    ended = container_status(home.status(name), "tail")["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (0, "Force this container to be success(137, Error, )")


def test_containers_start_in_the_order_of_their_launch_priorities(cluster: Cluster, namespace: str, home: Home) -> None:
    """Each is held back by itself, and starts as soon as its key is in the ConfigMap."""

    def behind(name: str, key: str) -> Json:
        return shell(name, BUSY, env=env(KRUISE_CONTAINER_BARRIER=of_config_map("ordered-barrier", key)))

    def held(*names: str) -> bool:
        states = [shown.state("ordered", name) for name in names]
        return all(why.get("reason") == "CreateContainerConfigError" for _, why in states)

    with showing(cluster, namespace) as shown:
        home.create("ordered", behind("first", "p_0"), behind("second", "p_-1"), shell("free", BUSY))
        shown.until("ordered", "free", "running")
        eventually(lambda: held("first", "second"))
        apply(cluster, namespace, config_map("ordered-barrier"))
        missing = "couldn't find key p_0 in ConfigMap"
        eventually(lambda: missing in shown.state("ordered", "first")[1].get("message", ""), 5)
        for name, keys in (("first", {"p_0": "true"}), ("second", {"p_0": "true", "p_-1": "true"})):
            assert held(name)
            apply(cluster, namespace, config_map("ordered-barrier", **keys))
            shown.until("ordered", name, "running", seconds=5)
            assert name == "second" or held("second")
        eventually(lambda: conditions(shown.last("ordered"))["Ready"] == "True")
    assert [each["restartCount"] for each in shown.last("ordered")["containerStatuses"]] == [0, 0, 0]


def test_containers_start_and_end_in_the_order_of_ecis_priorities(home: Home) -> None:
    """B19: larger first, and ready if there is a probe; the sidecar is the last to go."""
    priorities = env(ECI_CONTAINER_LAUNCH_PRIORITY="10", ECI_CONTAINER_EXIT_PRIORITY="-10")
    probe = {"exec": {"command": ["test", "-e", "/ready"]}, "periodSeconds": 1}
    slow = "trap 'exit 0' TERM; sleep 1; touch /ready; while :; do sleep 0.1; done"
    app, agent = shell("app", slow, readinessProbe=probe), shell("agent", slow, readinessProbe=probe, env=priorities)
    home.create("prior", app, agent, terminationGracePeriodSeconds=10)
    eventually(lambda: conditions(home.status("prior")).get("Ready") == "True")
    began = {name: container_status(home.status("prior"), name)["state"]["running"] for name in ("agent", "app")}
    assert began["agent"]["startedAt"] < began["app"]["startedAt"]
    uid, since = home.uid("prior"), now()
    home.delete("prior")
    eventually(lambda: "prior" not in home.there(), 30)
    assert ends(since, uid) == [("kill", "app"), ("die", "app"), ("kill", "agent"), ("die", "agent")]
