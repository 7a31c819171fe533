"""``vkprovider node`` on a real control plane: the project's examples, scheduled to it, do what their comments say."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from .clients import Cluster
from .nodes import ROOT, TOLERATIONS, NodeProcess
from .showing import Json, apply, container_status, showing, until_nothing_is_left
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

EXAMPLES = ROOT / "deploy" / "examples"
IMAGE = "registry-cn-hangzhou.ack.aliyuncs.com/ack-demo/busybox:1.28"
FORGIVEN = "Force this container to be success(137, Error, )"
FORMS = ("native", "marked")


@pytest.fixture(scope="module", autouse=True)
def example_image() -> None:
    """The image that the examples name."""
    subprocess.run([ROOT / "integration" / "setup" / "busybox-image.sh", IMAGE], check=True)


def example(path: Path, name: str, node: NodeProcess) -> Json:
    """An example as it stands, but for its name and what leads it to the node."""
    manifest: Json = yaml.safe_load(path.read_text())
    manifest["metadata"]["name"] = name
    spec = manifest["spec"]["template"]["spec"] if manifest["kind"] == "Job" else manifest["spec"]
    spec["nodeSelector"] = {"type": "virtual-kubelet", "kubernetes.io/hostname": node.name}
    spec["tolerations"] = TOLERATIONS
    return manifest


def test_the_seeds_job_completes_in_both_forms(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    """At once: each takes ten seconds, and thirty until its sidecar, which ignores TERM, is killed."""
    there = f"--namespace={namespace}"
    jobs = [example(EXAMPLES / f"test-sidecar-{form}.yaml", f"test-{form}", node) for form in FORMS]
    apply(cluster, namespace, *jobs)
    cluster.kubectl("wait", there, "jobs", "--all", "--for=condition=Complete", "--timeout=90s", seconds=100)
    for form in FORMS:
        described = cluster.kubectl("describe", there, f"job/test-{form}")
        assert re.search(r"^Pods Statuses: +0 Active \(0 Ready\) / 1 Succeeded / 0 Failed$", described, re.MULTILINE)
        (pod,) = cluster.get("pods", there, f"--selector=job-name=test-{form}")["items"]
        described = cluster.kubectl("describe", there, f"pod/{pod['metadata']['name']}")
        assert events(described) == told(f"{namespace}/{pod['metadata']['name']}", node)
        sidecar, app = container(described, "sidecar"), container(described, "app")
        assert sidecar.pop("Started") <= app.pop("Started")
        assert timedelta(seconds=30) <= sidecar.pop("Finished") - app.pop("Finished") <= timedelta(seconds=33)
        ended = {"State": "Terminated", "Reason": "Completed", "Exit Code": "0"}
        assert app == ended | {"Ready": "False", "Restart Count": "0"}
        assert sidecar == ended | {"Message": FORGIVEN, "Ready": "False", "Restart Count": "0"}
    cluster.kubectl("delete", there, "jobs", "--all")
    until_nothing_is_left(node)


def told(pod: str, node: NodeProcess) -> list[tuple[str, str, str, str]]:
    """The events of the seed's pod, as `kubectl describe` shows them."""
    started = [
        ("Normal", reason, "kubelet", text)
        for name in ("sidecar", "app")
        for reason, text in (
            ("Pulled", f'Container image "{IMAGE}" already present on machine'),
            ("Created", f"Created container: {name}"),
            ("Started", f"Started container {name}"),
        )
    ]
    scheduled = ("Normal", "Scheduled", "default-scheduler", f"Successfully assigned {pod} to {node.name}")
    return [scheduled, *started, ("Normal", "Killing", "kubelet", "Stopping container sidecar")]


def events(described: str) -> list[tuple[str, ...]]:
    """Type, reason, source and message of each event in what `kubectl describe` prints.

    From 1.35 on kubectl puts the part of the object that an event is about before the message.
    """
    _, _, table = described.partition("\nEvents:\n")
    rows = [re.split(r" {2,}", line.strip(), maxsplit=4) for line in table.splitlines()[2:] if line.strip()]
    part = re.compile(r"^spec\.[\w.]+\{[^}]+\}: ")
    return [(kind, reason, source, part.sub("", message)) for kind, reason, _, source, message in rows]


def container(described: str, name: str) -> dict[str, Any]:
    """What `kubectl describe` prints of how a container stands, from its state to its restart count."""
    (section,) = re.findall(rf"^  {name}:\n((?:    .*\n)+)", described, re.MULTILINE)
    (lines,) = re.findall(r"^ +State:.*?Restart Count: +\d+$", section, re.MULTILINE | re.DOTALL)
    stands: dict[str, Any] = dict(re.split(r": +", line.strip(), maxsplit=1) for line in lines.splitlines())
    for moment in ("Started", "Finished"):
        stands[moment] = datetime.strptime(stands[moment], "%a, %d %b %Y %H:%M:%S %z")
    return stands


def test_sidecars_end_after_the_app_in_the_reverse_of_their_order(
    cluster: Cluster, namespace: str, node: NodeProcess
) -> None:
    """Each needs three seconds to end, be it that its pod is deleted or that the app is done."""
    pods = [example(EXAMPLES / f"sidecar-{cause}.yaml", cause, node) for cause in ("order", "exit")]
    with showing(cluster, namespace) as shown:
        apply(cluster, namespace, *pods)
        for name in ("order", "exit"):
            shown.until_phase(name, "Running")
        cluster.kubectl("delete", f"--namespace={namespace}", "pod/order", "--wait=false")
        shown.until_phase("exit", "Succeeded", 30)
        eventually(lambda: shown.is_gone("order"), 30)
        for name in ("order", "exit"):
            app, second, first = (
                datetime.fromisoformat(container_status(shown.last(name), each)["state"]["terminated"]["finishedAt"])
                for each in ("app", "second-sidecar", "first-sidecar")
            )
            for gap in (second - app, first - second):
                assert timedelta(seconds=3) <= gap <= timedelta(seconds=5)
            assert shown.last(name)["phase"] == "Succeeded"
    cluster.kubectl("delete", f"--namespace={namespace}", "pod/exit")
    until_nothing_is_left(node)
