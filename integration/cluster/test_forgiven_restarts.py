"""A sidecar that is marked, fails, and runs again, in pods whose policy forbids it: the API shows it running each time.

The API server refuses to let a container leave its terminated state under `Never`, and after exit code 0 under
`OnFailure`; so a sidecar that is to run again is never shown as terminated.
"""

from __future__ import annotations

import pytest

from .clients import Cluster
from .nodes import NodeProcess, on, shell
from .showing import Json, Showing, apply, container_status, showing, until_nothing_is_left

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

MARK = [{"name": "__IS_SIDECAR__", "value": "true"}]
COUNT = {"volumeMounts": [{"name": "count", "mountPath": "/count"}]}
RUNS = 3


def job(name: str, node: str, policy: str, code: int) -> Json:
    """Its sidecar ends twice by itself with `code`, and then lasts; its app is done when it has seen that."""
    sidecar = f"""
        echo run >> /count/runs
        trap 'exit 3' TERM
        [ $(wc -l < /count/runs) = {RUNS} ] || {{ sleep 1; exit {code}; }}
        sleep 1000 & wait
    """
    app = f"until [ $(wc -l < /count/runs) = {RUNS} ]; do sleep 0.1; done; sleep 1"
    spec = on(
        node,
        shell("app", app, **COUNT),
        shell("sidecar", sidecar, env=MARK, **COUNT),
        restartPolicy=policy,
        volumes=[{"name": "count", "emptyDir": {}}],
        automountServiceAccountToken=False,
    )
    template = {"metadata": {"labels": {"case": name}}, "spec": spec}
    metadata = {"name": name}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}


def test_the_sidecar_is_running_again_each_time_and_the_jobs_complete(
    cluster: Cluster, namespace: str, node: NodeProcess
) -> None:
    cases = {"never": ("Never", 1), "on-failure": ("OnFailure", 0)}
    there = f"--namespace={namespace}"
    with showing(cluster, namespace) as shown:
        apply(cluster, namespace, *(job(name, node.name, *case) for name, case in cases.items()))
        cluster.kubectl("wait", there, "jobs", "--all", "--for=condition=Complete", "--timeout=60s", seconds=70)
        names = {raw["metadata"]["labels"]["case"]: raw["metadata"]["name"] for _, raw in shown.updates}
        for case, name in names.items():
            shown.until_phase(name, "Succeeded")
            check(shown, name, cases[case][1])
    assert "does not let its status say so" not in node.log
    cluster.kubectl("delete", there, "jobs", "--all")
    until_nothing_is_left(node)


def check(shown: Showing, pod: str, code: int) -> None:
    """Three runs, each of them seen, the ends between them only as the last state; at the end it is forgiven."""
    seen = [container_status(status, "sidecar") for status in shown.statuses(pod)]
    sidecar = [status for status in seen if status]
    runs = [status["restartCount"] for status in sidecar if "running" in status["state"]]
    assert list(dict.fromkeys(runs)) == list(range(RUNS))
    assert runs == sorted(runs)
    assert shown.states(pod, "sidecar")[-2:] == ["running", "terminated"]
    assert shown.states(pod, "sidecar").count("terminated") == 1
    assert shown.phases(pod) == ["Pending", "Running", "Succeeded"]
    backing_off = [
        status for status in sidecar if status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    ]
    assert {status["lastState"]["terminated"]["exitCode"] for status in backing_off} == {code}
    last = sidecar[-1]
    assert last["lastState"]["terminated"]["exitCode"] == code
    assert last["state"]["terminated"]["message"] == "Force this container to be success(3, Error, )"
    assert last["state"]["terminated"]["exitCode"] == 0
