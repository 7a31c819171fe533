"""The node's process ends, politely or by ``kill -9``, and starts again: its pods do not notice, and what became of
them meanwhile is told.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime

import pytest

from .clients import Cluster
from .home import UNTIL_TOLD, Home, docker, ends, now
from .identities import Access
from .nodes import IMAGE, NodeProcess, shell
from .processes import PROGRAM
from .showing import container_status, in_docker, on_disk
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
SLOW = "trap 'sleep 0.5; exit 0' TERM; sleep 1000 & wait"
HEARS_AND_STAYS = "trap 'echo TERM' TERM; while :; do sleep 0.1; done"
FAILS_ONCE = "if [ -e /v/once ]; then sleep 1000; fi; touch /v/once; exit 1"
MARK = {"env": [{"name": "__IS_SIDECAR__", "value": "true"}]}
NATIVE = {"restartPolicy": "Always", "image": IMAGE}
OWN_ERROR = 125


def at(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp)


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Home]:
    found = Home(cluster, namespace, node)
    yield found
    if not node.is_alive():
        node.start()
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
    eventually(lambda: not in_docker(node), 30)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_next_start_takes_every_pod_over(home: Home, how: str) -> None:
    volume = {"volumes": [{"name": "v", "emptyDir": {}}]}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    home.create("plain", shell("app", POLITE), restartPolicy="Always")
    home.create("native", shell("app", UNTIL_TOLD), initContainers=[shell("side", POLITE) | NATIVE])
    home.create("marked", shell("app", UNTIL_TOLD), shell("side", POLITE) | MARK)
    home.create("restarted", shell("app", FAILS_ONCE, **mount), restartPolicy="OnFailure", **volume)
    names = ("plain", "native", "marked", "restarted")
    home.until_phase("Running", *names)
    eventually(lambda: container_status(home.status("restarted"), "app").get("restartCount") == 1)
    eventually(lambda: all("running" in s["state"] for n in names for s in home.status(n)["containerStatuses"]))
    instances, statuses = home.instances(), {name: home.status(name) for name in names}
    getattr(home.node, how)()
    if how == "stop":
        assert "the pods go on, and the next start takes them over" in home.node.log
    assert home.instances() == instances
    home.node.start()
    home.until_works()
    assert home.instances() == instances
    assert {name: home.status(name) for name in names} == statuses
    for name in ("native", "marked"):
        home.tell(name, "app")
    home.until_phase("Failed", "native", "marked")
    for name in ("native", "marked"):
        status = home.status(name)
        assert container_status(status, "app")["state"]["terminated"]["exitCode"] == 3
        assert container_status(status, "side")["state"]["terminated"]["exitCode"] == 0
        killings = [message for reason, message in home.events(name) if reason == "Killing"]
        assert killings == ["Stopping container side"]


def test_a_sidecar_that_was_sent_term_is_killed_at_its_old_deadline(home: Home) -> None:
    grace = 8
    stays = shell("side", HEARS_AND_STAYS) | MARK
    home.create("late", shell("app", "sleep 1"), stays, terminationGracePeriodSeconds=grace)
    home.until_phase("Running", "late")
    side = home.container("late", "side")
    eventually(lambda: docker("logs", side) == "TERM")
    record = home.node.folder / "nodes" / home.node.name / "records" / f"{home.uid('late')}.json"
    eventually(lambda: "term_sent" in record.read_text())
    home.node.kill()
    home.node.start()
    home.until_phase("Succeeded", "late")
    app, sidecar = (container_status(home.status("late"), name)["state"]["terminated"] for name in ("app", "side"))
    took = (at(sidecar["finishedAt"]) - at(app["finishedAt"])).total_seconds()
    assert grace - 1 <= took <= grace + 2
    assert sidecar["message"] == "Force this container to be success(137, Error, )"
    assert docker("logs", side) == "TERM"  # and that but once


def test_what_happens_while_nobody_looks_is_made_up_for(home: Home) -> None:
    for name in ("deleted", "forced", "replaced", "removed"):
        home.create(name, shell("app", POLITE), restartPolicy="Always")
    for name in ("finished", "restarts"):
        policy = "Never" if name == "finished" else "Always"
        home.create(name, shell("app", UNTIL_TOLD), restartPolicy=policy)
    names = ("deleted", "forced", "replaced", "removed", "finished", "restarts")
    home.until_phase("Running", *names)
    uids = {name: home.uid(name) for name in names}
    before = home.container("finished", "app"), home.container("restarts", "app"), home.container("removed", "app")
    home.node.kill()
    home.delete("deleted")
    home.delete("forced", "--grace-period=0", "--force")
    home.delete("replaced", "--grace-period=0", "--force")
    eventually(lambda: "replaced" not in home.there())
    home.create("replaced", shell("app", POLITE), restartPolicy="Always")
    docker("rm", "--force", before[2])
    for name in ("finished", "restarts"):
        home.tell(name, "app")
        docker("wait", home.container(name, "app"))
    assert home.status("finished")["phase"] == "Running"
    home.node.start()
    home.until_phase("Failed", "finished")
    home.until_phase("Running", "replaced")
    eventually(lambda: "deleted" not in home.there())
    for name in ("deleted", "forced", "replaced"):
        eventually(lambda name=name: not in_docker(home.node, uids[name]))
    eventually(lambda: not {f"{uids['forced']}.json", uids["forced"]} & {*on_disk(home.node)})
    eventually(lambda: container_status(home.status("restarts"), "app")["restartCount"] == 1)
    ended = container_status(home.status("finished"), "app")
    assert (ended["state"]["terminated"]["exitCode"], ended["restartCount"]) == (3, 0)
    assert ended["containerID"] == f"docker://{before[0]}"
    last = container_status(home.status("restarts"), "app")["lastState"]["terminated"]
    assert (last["exitCode"], last["containerID"]) == (3, f"docker://{before[1]}")
    eventually(lambda: container_status(home.status("removed"), "app")["restartCount"] == 1)
    last = container_status(home.status("removed"), "app")["lastState"]["terminated"]
    assert (last["reason"], last["containerID"]) == ("ContainerStatusUnknown", f"docker://{before[2]}")


def test_containers_that_nobody_knows_are_ended_in_order_and_strangers_left_alone(home: Home) -> None:
    stranger = docker("run", "--detach", "--label=vkprovider.node=another", IMAGE, "sleep", "1000")
    try:
        home.create("lost", shell("app", SLOW), initContainers=[shell("side", POLITE) | NATIVE])
        home.create("kept", shell("app", POLITE))
        home.until_phase("Running", "lost", "kept")
        uid, kept = home.uid("lost"), home.container("kept", "app")
        since = now()
        home.node.kill()
        nodes_own = home.node.folder / "nodes" / home.node.name
        (nodes_own / "records" / f"{uid}.json").unlink()
        (nodes_own / "pods" / "nobodys" / "volumes").mkdir(parents=True)
        home.delete("lost", "--grace-period=0", "--force")
        eventually(lambda: "lost" not in home.there())
        home.node.start()
        eventually(lambda: not in_docker(home.node, uid))
        eventually(lambda: not {uid, f"{uid}.json", "nobodys"} & {*on_disk(home.node)})
        assert ends(since, uid) == [("kill", "app"), ("die", "app"), ("kill", "side"), ("die", "side")]
        assert f"containers of a pod that nobody knows; ending them pod={home.namespace}/lost" in home.node.log
        running = docker("inspect", "--format={{.State.Running}}", stranger, kept).split()
        assert running == ["true", "true"]
    finally:
        docker("rm", "--force", stranger)


def test_a_node_has_one_process(home: Home, access: Access) -> None:
    node = home.node
    identity = ["--nodename", node.name, "--kubeconfig", str(access(node.name)), "--state-dir", str(node.folder)]
    second = subprocess.run([PROGRAM, "node", *identity], capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == OWN_ERROR
    assert second.stderr == (
        f"vkprovider: node {node.name} is run by another vkprovider already (process {node.pid}): "
        "stop that one, or give this one another --nodename\n"
    )
    assert node.is_alive()


def test_a_node_for_one_namespace_leaves_the_pods_of_others_to_themselves(
    cluster: Cluster, home: Home, access: Access
) -> None:
    """Started so over pods that it ran before, it neither ends them nor looks after them."""
    home.create("other", shell("app", POLITE), restartPolicy="Always")
    home.until_phase("Running", "other")
    instances, name = home.instances(), home.node.name
    home.node.stop()
    narrow = NodeProcess(cluster, name, home.node.folder, access, "--namespace=default")
    narrow.start()
    elsewhere = Home(cluster, "default", narrow)
    try:
        elsewhere.until_works()
        assert home.instances() == instances
    finally:
        narrow.stop()
    home.node.start()
    home.until_works()
    assert home.instances() == instances
