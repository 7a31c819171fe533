"""Objects as the API server would store them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from vkprovider.model import defaults

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "a", "image": "busybox:1.28"}]},
}


def pod(**spec: Any) -> dict[str, Any]:
    made: dict[str, Any] = defaults.pod({**POD, "spec": POD["spec"] | spec})["spec"]
    return made


def container(**fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = pod(containers=[{"name": "a", "image": "busybox:1.28"} | fields])["containers"][0]
    return made


def test_a_pod_is_completed() -> None:
    assert defaults.pod(POD) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "generation": 1},
        "spec": {
            "containers": [
                {
                    "name": "a",
                    "image": "busybox:1.28",
                    "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "resources": {},
                }
            ],
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30,
            "securityContext": {},
            "enableServiceLinks": True,
        },
    }


def test_the_object_that_was_given_stays_as_it_is() -> None:
    before = copy.deepcopy(POD)
    defaults.pod(POD)
    assert before == POD


def test_a_completed_object_is_completed_to_itself() -> None:
    assert defaults.pod(defaults.pod(POD)) == defaults.pod(POD)


def test_what_is_given_is_kept() -> None:
    given = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "enableServiceLinks": False}
    made = pod(**given)
    assert {key: made[key] for key in given} == given


def test_nulls_and_empty_strings_are_as_good_as_absent() -> None:
    made = pod(restartPolicy="", terminationGracePeriodSeconds=None)
    assert (made["restartPolicy"], made["terminationGracePeriodSeconds"]) == ("Always", 30)


def test_what_only_the_server_sets_is_dropped() -> None:
    metadata = {"name": "p", "uid": "u", "resourceVersion": "5", "creationTimestamp": "x", "managedFields": []}
    made = defaults.pod({**POD, "metadata": metadata, "status": {"phase": "Running"}})
    assert made["metadata"] == {"name": "p", "namespace": "default", "generation": 1}
    assert "status" not in made


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("localhost:5000/busybox", "Always"),
        ("localhost:5000/a/busybox:1", "IfNotPresent"),
        ("busybox@sha256:abc", "IfNotPresent"),
        ("busybox:latest@sha256:abc", "Always"),
    ],
)
def test_the_pull_policy_follows_from_the_tag(image: str, policy: str) -> None:
    assert container(image=image)["imagePullPolicy"] == policy


def test_probes_are_completed() -> None:
    probe = container(livenessProbe={"httpGet": {"port": 80}, "periodSeconds": 0})["livenessProbe"]
    assert probe == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "periodSeconds": 10,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_hooks_are_completed() -> None:
    made = container(lifecycle={"preStop": {"httpGet": {"port": 80}}, "stopSignal": "SIGTERM"})
    assert made["lifecycle"]["preStop"] == {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}}


def test_ports_and_field_references_are_completed() -> None:
    field = {"fieldRef": {"fieldPath": "metadata.name"}}
    made = container(ports=[{"containerPort": 80}], env=[{"name": "N", "valueFrom": field}, {"name": "M"}])
    assert made["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert made["env"][0]["valueFrom"]["fieldRef"] == {"fieldPath": "metadata.name", "apiVersion": "v1"}


def test_a_pod_on_the_host_network_uses_its_ports_there() -> None:
    made = pod(hostNetwork=True, containers=[{"name": "a", "ports": [{"containerPort": 80}]}])
    assert made["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_requests_follow_from_limits() -> None:
    made = container(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})
    assert made["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_volumes_are_completed() -> None:
    volumes = [
        {"name": "none"},
        {"name": "c", "configMap": {"name": "x"}},
        {"name": "s", "secret": {"secretName": "x", "defaultMode": 0}},
        {"name": "h", "hostPath": {"path": "/x"}},
        {"name": "i", "image": {"reference": "data:1"}},
        {"name": "l", "image": {"reference": "data"}},
    ]
    assert pod(volumes=volumes)["volumes"] == [
        {"name": "none", "emptyDir": {}},
        {"name": "c", "configMap": {"name": "x", "defaultMode": 0o644}},
        {"name": "s", "secret": {"secretName": "x", "defaultMode": 0}},
        {"name": "h", "hostPath": {"path": "/x", "type": ""}},
        {"name": "i", "image": {"reference": "data:1", "pullPolicy": "IfNotPresent"}},
        {"name": "l", "image": {"reference": "data", "pullPolicy": "Always"}},
    ]


def job(template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    spec["template"] = template or {"spec": {"containers": [{"name": "a"}]}}
    return defaults.job({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec})


def without_template(**spec: Any) -> dict[str, Any]:
    return {key: value for key, value in job(**spec)["spec"].items() if key != "template"}


def test_a_job_is_completed() -> None:
    assert without_template() == {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "manualSelector": False,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "suspend": False,
    }


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ({}, (1, 1)),
        ({"completions": 3}, (3, 1)),
        ({"parallelism": 2}, (None, 2)),
        ({"completions": 3, "parallelism": 2}, (3, 2)),
    ],
)
def test_completions_and_parallelism_go_together(given: dict[str, int], numbers: tuple[int | None, int]) -> None:
    made = without_template(**given)
    assert (made.get("completions"), made["parallelism"]) == numbers


def test_a_limit_per_index_lifts_the_other() -> None:
    assert without_template(backoffLimitPerIndex=1)["backoffLimit"] == 2**31 - 1


def test_a_failure_policy_waits_for_pods_to_fail() -> None:
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    made = without_template(podFailurePolicy={"rules": [rule]})
    assert made["podReplacementPolicy"] == "Failed"
    assert made["podFailurePolicy"]["rules"][0]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]


def test_a_job_takes_the_labels_of_its_template() -> None:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}}
    assert job(template)["metadata"]["labels"] == {"app": "x"}


def test_a_template_is_completed_but_for_what_is_a_pods_alone() -> None:
    template = {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]}}
    spec = job(template)["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 30
    assert "enableServiceLinks" not in spec
    assert "requests" not in spec["containers"][0]["resources"]


def test_the_selector_follows_from_the_uid() -> None:
    stored = job()
    stored["metadata"]["uid"] = "u"
    made = defaults.with_selector(stored)["spec"]
    assert made["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert made["template"]["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": "u",
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": "u",
        "job-name": "j",
    }


def test_a_manual_selector_is_left_alone() -> None:
    stored = job(manualSelector=True, selector={"matchLabels": {"a": "b"}})
    assert defaults.with_selector(stored) == stored


def test_string_data_of_a_secret_is_stored_as_base64_and_wins() -> None:
    made = defaults.secret(
        {"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "YQ==", "b": "Yg\n=="}, "stringData": {"a": "new"}}
    )
    assert made["data"] == {"a": "bmV3", "b": "Yg=="}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


def test_binary_data_of_a_config_map_is_stored_in_one_line() -> None:
    made = defaults.config_map({"kind": "ConfigMap", "metadata": {"name": "c"}, "binaryData": {"a": "YW\nJj\n"}})
    assert made["binaryData"] == {"a": "YWJj"}
