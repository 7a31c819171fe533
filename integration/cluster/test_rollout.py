"""New images of SidecarSets in running pods, rolled out by the webhook's controller where OpenKruise is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sidecarset.destinations import ECI

from .clients import Cluster, KubectlError
from .home import Home, docker
from .nodes import IMAGE, NodeProcess, shell
from .showing import Json, Showing, apply, container_status, pod, showing, until_nothing_is_left
from .waiting import eventually
from .webhooks import WebhookProcess, admitted, is_injected, sidecar_set, sidecar_sets, webhook_account

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

OLD, NEW, EMPTY = (f"vkprovider-rolled:{tag}" for tag in ("1", "2", "empty"))
SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
VERSIONS = f"echo $SIDECARSET_VERSION $SIDECARSET_VERSION_ALT; {SLEEP}"
HOT = {"upgradeStrategy": {"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": EMPTY}}
SECONDS = 40


@pytest.fixture(scope="module", autouse=True)
def images(image: None) -> Iterator[None]:
    for name in (OLD, NEW, EMPTY):
        docker("tag", IMAGE, name)
    yield
    docker("rmi", OLD, NEW, EMPTY)


@pytest.fixture(scope="module", autouse=True)
def webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookProcess]:
    folder = tmp_path_factory.mktemp("webhook")
    with webhook_account(cluster, folder) as account, WebhookProcess(cluster, folder, account) as process:
        yield process


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Home]:
    yield Home(cluster, namespace, node)
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1", "--wait=false")
    until_nothing_is_left(node)


def mesh(image: str, script: str = SLEEP, **fields: Any) -> Json:
    return shell("mesh", script, image=image, imagePullPolicy="IfNotPresent", **fields)


def rolling(image: str, strategy: Json | None = None, **fields: Any) -> Json:
    return sidecar_set("mesh", mesh(image, **fields), updateStrategy={"type": "RollingUpdate"} | (strategy or {}))


def create(home: Home, *pods: str, sidecars: int = 1) -> None:
    """Each with its own name as a label."""
    for name in pods:
        app = shell("app", SLEEP, image=IMAGE)
        apply(home.cluster, home.namespace, pod(name, {"containers": [app]}, labels={ECI: "true", "name": name}))
    eventually(lambda: all(len(ready(home, name)) == 1 + sidecars for name in pods), SECONDS)


def ready(home: Home, name: str) -> dict[str, str]:
    """The images of the containers that are ready."""
    shown = home.status(name).get("containerStatuses", ())
    return {each["name"]: each["image"] for each in shown if each["ready"]}


def status_of(home: Home, *fields: str) -> list[int]:
    status = home.cluster.get("sidecarset", "mesh").get("status", {})
    return [status.get(f"{field}Pods", -1) for field in fields]


def update(home: Home, made: Json) -> None:
    home.cluster.kubectl("apply", "--filename=-", stdin=json.dumps(made))


def app_of(home: Home, name: str) -> tuple[str, int]:
    app = container_status(home.status(name), "app")
    return app["containerID"], app["restartCount"]


def test_pods_get_the_new_image_one_after_the_other_but_those_that_are_to_keep_the_old(home: Home) -> None:
    with sidecar_sets(home.cluster, rolling(OLD)):
        eventually(lambda: is_injected(home.cluster, home.namespace, "mesh"))
        create(home, *"abcd")
        apps = [app_of(home, name) for name in "abcd"]
        update(home, rolling(NEW, {"paused": True}))
        eventually(lambda: status_of(home, "matched", "updated", "ready") == [4, 0, 4], SECONDS)
        with showing(home.cluster, home.namespace) as shown:
            update(home, rolling(NEW, {"partition": 2}))
            eventually(lambda: status_of(home, "updated", "updatedReady", "ready") == [2, 2, 4], SECONDS)
        assert most_at_once(shown) == 1
        assert [ready(home, name)["mesh"] for name in "abcd"] == [NEW, NEW, OLD, OLD]
        update(home, rolling(NEW, {"selector": {"matchLabels": {"name": "d"}}, "maxUnavailable": "100%"}))
        eventually(lambda: status_of(home, "updated", "updatedReady", "ready") == [3, 3, 4], SECONDS)
        assert [ready(home, name)["mesh"] for name in "abcd"] == [NEW, NEW, OLD, NEW]
        update(home, rolling(NEW))
        eventually(lambda: status_of(home, "updatedReady") == [4], SECONDS)
        with showing(home.cluster, home.namespace) as shown:
            update(home, rolling(OLD, {"maxUnavailable": 3}))
            eventually(lambda: [ready(home, name).get("mesh") for name in "abcd"] == [OLD] * 4, SECONDS)
        assert most_at_once(shown) == 3
        assert [app_of(home, name) for name in "abcd"] == apps
        update(home, rolling(NEW, script=f"true; {SLEEP}"))  # more than an image: for new pods alone
        eventually(lambda: conditions(home, "a").get("SidecarSetUpgradable") == "UpdateImmutableField", SECONDS)
        assert container_status(home.status("a"), "mesh")["restartCount"] == 2


def most_at_once(shown: Showing) -> int:
    """How many pods were on their way to another image at a time, at most."""
    away, most = set[str](), 0
    for _, raw in shown.updates:
        (wanted,) = (each["image"] for each in raw["spec"]["containers"] if each["name"] == "mesh")
        there = container_status(raw["status"], "mesh")["image"] == wanted
        (away.discard if there else away.add)(raw["metadata"]["name"])
        most = max(most, len(away))
    return most


def conditions(home: Home, name: str) -> dict[str, str]:
    return {each["type"]: each.get("reason", "") for each in home.status(name)["conditions"]}


def test_a_hot_upgrade_leaves_the_pod_ready_and_the_app_alone(home: Home, tmp_path: Path) -> None:
    """B20, with our own controller in OpenKruise's place: mesh-2 takes over, then mesh-1 idles."""
    with sidecar_sets(home.cluster, rolling(OLD, script=VERSIONS, **HOT)):
        eventually(lambda: is_injected(home.cluster, home.namespace, "mesh-1", "mesh-2"))
        create(home, "web", sidecars=2)
        app, first = app_of(home, "web"), said(home, "mesh-1")
        assert first == ["1", "0"]
        watching = ("get", "pod", "web", f"--namespace={home.namespace}", "--watch", "--output=json")
        with home.cluster.follow(*watching, "--output-watch-events") as watch:
            update(home, rolling(NEW, script=VERSIONS, **HOT))
            wanted = {"app": IMAGE, "mesh-1": EMPTY, "mesh-2": NEW}
            eventually(lambda: ready(home, "web") == wanted, SECONDS)
            eventually(lambda: status_of(home, "updatedReady") == [1], SECONDS)
            watch.terminate()
            assert watch.stdout is not None
            seen = parsed(watch.stdout.read())
        assert len(seen) > 3
        assert {ready_condition(each["object"]) for each in seen} == {"True"}
        assert app_of(home, "web") == app
        version, before = said(home, "mesh-2")
        assert (int(version) > int(before), before) == (True, "1")
        eventually(lambda: "ResetContainerSucceed" in home.cluster.kubectl("get", "events", f"-n={home.namespace}"))


def test_new_pods_get_the_revision_that_is_named_and_go_on_as_the_strategy_says(
    home: Home, webhook: WebhookProcess
) -> None:
    with sidecar_sets(home.cluster, versioned(OLD, "v1")):
        first = latest(home)
        webhook.stop()  # the process that comes next sees both states in what is kept
        update(home, versioned(NEW, "v2"))
        webhook.start()
        second = latest(home, first)
        assert revisions(home) == [["1", first, "v1", "mesh"], ["2", second, "v2", "mesh"]]
        with pytest.raises(KubectlError, match=f"Cannot find specific ControllerRevision; there are: {first}"):
            update(home, versioned(NEW, "v2", pin={"customVersion": "v3"}))
        update(home, versioned(NEW, "v2", {"paused": True}, pin={"customVersion": "v1"}))
        eventually(lambda: image_to_be(home) == OLD)
        create(home, "pinned")
        assert ready(home, "pinned")["mesh"] == OLD
        hashes = home.there()["pinned"]["metadata"]["annotations"]["kruise.io/sidecarset-hash"]
        assert json.loads(hashes)["mesh"]["controllerRevision"] == first
        eventually(lambda: status_of(home, "matched", "updated", "ready") == [1, 0, 1], SECONDS)
        update(home, versioned(NEW, "v2", pin={"revisionName": first}))
        eventually(lambda: (status_of(home, "updatedReady"), ready(home, "pinned")["mesh"]) == ([1], NEW), SECONDS)
        assert image_to_be(home) == OLD
        update(home, versioned(EMPTY, "v3", {"paused": True}, limit=1))
        third = latest(home, first, second)
        eventually(lambda: [row[1] for row in revisions(home)] == [second, third], SECONDS)  # which the pod has
        assert image_to_be(home) == EMPTY
        kept = home.cluster.get("controllerrevision", second, "--namespace=vkprovider")["data"]
        home.cluster.kubectl("patch", "sidecarset", "mesh", "--type=merge", f"--patch={json.dumps(kept)}")
        assert latest(home, third) == second
        assert image_to_be(home) == NEW
    eventually(lambda: revisions(home) == [], 90)  # the garbage collector has to learn of the kind first


def versioned(image: str, version: str, strategy: Json | None = None, limit: int = 10, pin: Json | None = None) -> Json:
    made = rolling(image, strategy, env=[{"name": "ODD", "value": "<&> \u00e9 \U0001f600 \u2028 \t 1e3"}])
    made["metadata"]["labels"] = {"apps.kruise.io/sidecarset-custom-version": version}
    injection = {"injectionStrategy": {"revision": pin}} if pin is not None else {}
    made["spec"] |= {"revisionHistoryLimit": limit} | injection
    return made


def latest(home: Home, *earlier: str) -> str:
    """The latest revision as the set's status names it, once that is none of the earlier ones."""

    def named() -> str:
        return str(home.cluster.get("sidecarset", "mesh").get("status", {}).get("latestRevision", ""))

    eventually(lambda: named() not in ("", *earlier), SECONDS)
    return named()


def revisions(home: Home) -> list[list[str]]:
    """Of the set, the oldest first: the number, the name, the custom version, the owner's name."""
    label = "{.metadata.labels.apps\\.kruise\\.io/sidecarset-custom-version}"
    columns = f"{{.revision}} {{.metadata.name}} {label} {{.metadata.ownerReferences[0].name}}"
    chosen = ["--namespace=vkprovider", "--selector=kruise.io/sidecarset-name=mesh", "--sort-by=.revision"]
    template = f"--output=jsonpath={{range .items[*]}}{columns}{{'\\n'}}{{end}}"
    return [line.split() for line in home.cluster.kubectl("get", "controllerrevisions", *chosen, template).splitlines()]


def image_to_be(home: Home) -> str:
    """What a new pod's sidecar would run."""
    probe = pod("probe", {"containers": [shell("app", "", image=IMAGE)]}, labels={ECI: "true"})
    (made,) = admitted(home.cluster, home.namespace, probe)
    return next(str(each["image"]) for each in made["spec"]["containers"] if each["name"] == "mesh")


def said(home: Home, container: str) -> list[str]:
    """What a twin was told of versions when it was started last."""
    logs = home.cluster.kubectl("logs", "web", f"--container={container}", f"--namespace={home.namespace}")
    return logs.split()


def parsed(text: str) -> list[Json]:
    """JSON documents, one after the other; the last may be cut."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        try:
            each, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(each)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def ready_condition(raw: Json) -> str:
    return next(str(each["status"]) for each in raw["status"]["conditions"] if each["type"] == "Ready")
