"""SidecarSets, their bindings and Deployments among the manifests of a run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ObjectRef
from vkprovider.standalone.manifests import ManifestError, Manifests, load

Load = Callable[..., Manifests]

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "sidecarset"

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
ECHO = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo-server, labels: {app: echo-server}}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo-server}}
  template:
    metadata: {labels: {app: echo-server, alibabacloud.com/eci: "true"}}
    spec: {containers: [{name: echo-server, image: hashicorp/http-echo}]}
"""
SET = """
apiVersion: apps.kruise.io/v1alpha1
kind: SidecarSet
metadata: {name: filebeat-sidecarset}
spec:
  selector: {matchLabels: {serverless.alibabacloud.com/virtual-node: "true"}}
  updateStrategy: {type: NotUpdate}
  containers:
  - name: filebeat
    image: busybox
    volumeMounts: [{name: config, mountPath: /etc/filebeat.yml, readOnly: true, subPath: filebeat.yml}]
  volumes:
  - {name: config, configMap: {name: kube-system/filebeat-config}}
"""
BINDING = """
apiVersion: sidecarset.alibabacloud.com/v1alpha1
kind: SidecarSetResourceBinding
metadata:
  name: filebeat-sidecarset-resourcebinding
  namespace: kube-system
  labels:
spec:
  subjects: [{kind: SidecarSet, name: filebeat-sidecarset}]
  resourceRefs: [{kind: ConfigMap, name: filebeat-config}]
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: filebeat-config, namespace: kube-system}
data: {filebeat.yml: "filebeat.inputs:"}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: app, image: "busybox:1.28"}]}
"""
ALL = (ECHO, SET, BINDING, CONFIG)


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Load texts as documents of one file."""

    def load_texts(*texts: str) -> Manifests:
        file = tmp_path / "a.yaml"
        file.write_text("---".join(texts))
        return load([str(file)])

    return load_texts


@pytest.fixture
def refused(loaded: Load) -> Callable[..., str]:
    def lines(*texts: str) -> str:
        with pytest.raises(ManifestError) as caught:
            loaded(*texts)
        return "\n".join(line.partition("/a.yaml: ")[2] for line in caught.value.lines)

    return lines


def containers(manifests: Manifests) -> list[list[str]]:
    pods = (manifests.sidecars.admitted(pod, NOW) for pod in manifests.pods)
    return [[container["name"] for container in pod["spec"]["containers"]] for pod in pods]


def test_a_deployments_pods_are_named_as_in_a_cluster_and_complete(loaded: Load) -> None:
    first, second = loaded(ECHO).pods
    assert first == second
    prefix = first["metadata"]["generateName"]
    digest = first["metadata"]["labels"]["pod-template-hash"]
    assert prefix == f"echo-server-{digest}-"
    assert len(digest) == 9
    assert first["spec"]["restartPolicy"] == "Always"
    assert loaded(ECHO.replace("http-echo", "other")).pods[0]["metadata"]["generateName"] != prefix


def test_a_deployment_may_have_no_pods(loaded: Load) -> None:
    assert loaded(ECHO.replace("replicas: 2", "replicas: 0")).pods == ()
    assert len(loaded(ECHO.replace("  replicas: 2\n", "")).pods) == 1


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("{app: echo-server, alibaba", "{app: other, alibaba", "spec.template.metadata.labels: Invalid value"),
        ("  selector: {matchLabels: {app: echo-server}}\n", "", "spec.selector: Required value"),
        ("{matchLabels: {app: echo-server}}", "{}", "empty selector is invalid for deployment"),
        ("spec: {containers", "spec: {restartPolicy: Never, containers", "restartPolicy: Unsupported value"),
        ("spec: {containers", "spec: {activeDeadlineSeconds: 1, containers", "activeDeadlineSeconds: Forbidden"),
        ("replicas: 2", "replicas: -1", "spec.replicas: Invalid value: -1"),
        ("replicas: 2", "paused: true", "spec.paused: known to Kubernetes, but vkprovider does not honour it"),
        ("replicas: 2", "replica: 2", 'spec.replica: unknown field "replica", did you mean "replicas"?'),
    ],
)
def test_a_deployment_is_refused(refused: Callable[..., str], before: str, after: str, complaint: str) -> None:
    assert complaint in refused(ECHO.replace(before, after))


def test_what_only_controllers_heed_is_taken(loaded: Load) -> None:
    more = "replicas: 1\n  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}\n  minReadySeconds: 5"
    assert loaded(ECHO.replace("replicas: 2", more)).warnings == ()


def test_sidecars_are_injected_whatever_the_order_of_the_documents(loaded: Load) -> None:
    for order in permutations(ALL):
        assert containers(loaded(*order)) == [["filebeat", "echo-server"]] * 2


def test_the_example_runs_as_it_stands() -> None:
    files = sorted(map(str, EXAMPLE.glob("*.yaml")))
    assert containers(load(files)) == [["filebeat", "echo-server"]]


def test_an_injected_pod_is_complete_and_keeps_its_identity(loaded: Load) -> None:
    manifests = loaded(*ALL)
    identity = {"name": "p", "uid": "u", "creationTimestamp": "2026-11-21T10:00:00Z"}
    pod = manifests.pods[0]
    made = manifests.sidecars.admitted({**pod, "metadata": pod["metadata"] | identity}, NOW)
    assert made["metadata"].items() >= identity.items()
    assert made["metadata"]["labels"]["serverless.alibabacloud.com/virtual-node"] == "true"
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always"


def test_pods_of_jobs_are_injected_too(loaded: Load) -> None:
    job = "\napiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  template:\n    spec: "
    job += "{restartPolicy: Never, containers: [{name: app, image: a}]}\n"
    pod = {"metadata": {"name": "x", "namespace": "default"}, "spec": {"containers": [{"name": "app", "image": "a"}]}}
    made = loaded(job, SET, BINDING, CONFIG).sidecars.admitted(pod, NOW)
    assert [container["name"] for container in made["spec"]["containers"]] == ["filebeat", "app"]


async def test_an_object_of_another_namespace_is_found(loaded: Load) -> None:
    manifests = loaded(*ALL)
    pod = decode_pod(manifests.sidecars.admitted(manifests.pods[0], NOW))
    found = await manifests.store.get(ObjectRef("ConfigMap", "kube-system", "filebeat-config"), pod)
    assert found is not None
    assert found["data"] == {"filebeat.yml": "filebeat.inputs:"}


def test_without_a_binding_it_is_refused_whether_it_is_there_or_not(refused: Callable[..., str]) -> None:
    said = refused(ECHO, SET, CONFIG)
    assert said == refused(ECHO, SET)
    assert said == (
        "document 1 (Deployment echo-server): its SidecarSet filebeat-sidecarset: spec.volumes[0].configMap.name: "
        "Forbidden: kube-system/filebeat-config is of another namespace: it takes, among the manifests, "
        'a SidecarSetResourceBinding in namespace "kube-system" of the SidecarSet filebeat-sidecarset and '
        "the ConfigMap filebeat-config; the volume must be of that set, and only sidecars of it may mount it"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("namespace: kube-system", "namespace: default"),
        ("name: filebeat-sidecarset}", "name: other}"),
        ("kind: ConfigMap", "kind: Secret"),
        ("name: filebeat-config", "name: other"),
    ],
)
def test_a_binding_of_something_else_does_not_help(refused: Callable[..., str], before: str, after: str) -> None:
    assert "is of another namespace" in refused(ECHO, SET, BINDING.replace(before, after), CONFIG)


def test_with_a_binding_the_object_and_its_keys_must_be_there(refused: Callable[..., str]) -> None:
    assert 'no ConfigMap of that name in namespace "kube-system"' in refused(ECHO, SET, BINDING)


def test_a_pods_own_volume_gives_no_leave(refused: Callable[..., str]) -> None:
    volumes = "volumes: [{name: v, configMap: {name: kube-system/filebeat-config, optional: true}}], containers"
    said = refused(POD.replace("containers", volumes), BINDING, CONFIG)
    assert "of a SidecarSet that matches the pod and the ConfigMap filebeat-config" in said


def test_nor_may_the_pods_own_container_mount_the_sets_volume(refused: Callable[..., str]) -> None:
    mounted = ECHO.replace("image: hashicorp/http-echo", "image: a, volumeMounts: [{name: v, mountPath: /v}]")
    thief = mounted.replace(
        "{containers", "{volumes: [{name: v, configMap: {name: kube-system/filebeat-config}}], containers"
    )
    assert "only sidecars of it may mount it" in refused(thief, SET, BINDING, CONFIG)


def test_what_is_no_reference_is_said(refused: Callable[..., str]) -> None:
    wrong = POD.replace("containers", "volumes: [{name: v, secret: {secretName: a/b/c}}], containers")
    assert 'spec.volumes[0].secret.secretName: Invalid value: "a/b/c"' in refused(wrong)


def test_a_pod_that_its_sidecars_make_wrong_is_refused(refused: Callable[..., str]) -> None:
    clash = ECHO.replace("{containers: [", "{initContainers: [{name: filebeat, image: a}], containers: [")
    said = refused(clash, SET, BINDING, CONFIG)
    assert 'with the sidecars of filebeat-sidecarset: spec.initContainers[0].name: Duplicate value: "filebeat"' in said


def test_annotations_that_cannot_be_read_are_refused(refused: Callable[..., str]) -> None:
    broken = POD.replace("{name: p}", '{name: p, annotations: {kruise.io/sidecarset-hash: "["}}')
    assert "metadata.annotations: invalid annotations[kruise.io/sidecarset-hash]" in refused(
        broken, SET, BINDING, CONFIG
    )


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("selector:", "selectors:", 'spec.selectors: unknown field "selectors", did you mean "selector"?'),
        ("image: busybox", "image: busybox\n    volumeDevices: [{name: x}]", "volumeDevices: known to Kubernetes, but"),
        ("type: NotUpdate", "type: Never", "spec.updateStrategy.type: Unsupported value"),
        ("v1alpha1", "v1", 'apiVersion: must be "apps.kruise.io/v1alpha1" for a SidecarSet'),
        ("kind: SidecarSet\n", "kind: SidecarSets\n", 'unknown kind "SidecarSets", did you mean "SidecarSet"?'),
    ],
)
def test_a_set_is_judged_like_any_object(refused: Callable[..., str], before: str, after: str, complaint: str) -> None:
    assert complaint in refused(POD, SET.replace(before, after))


def test_two_sets_with_one_container_are_refused_at_the_sets(refused: Callable[..., str]) -> None:
    other = SET.replace("filebeat-sidecarset", "other-sidecarset").replace("kube-system/", "")
    said = refused(SET.replace("kube-system/", ""), other, POD.replace("{name: p}", "{name: p, namespace: x}"))
    assert "document 1 (SidecarSet filebeat-sidecarset): spec.containers: Invalid value" in said
    assert "container filebeat already exist in other-sidecarset" in said


@pytest.mark.parametrize("given", ["customVersion: v2", "revisionName: filebeat-sidecarset-1"])
def test_a_set_may_name_no_revision_but_what_it_is_itself(
    loaded: Load, refused: Callable[..., str], given: str
) -> None:
    label = "{name: filebeat-sidecarset, labels: {apps.kruise.io/sidecarset-custom-version: v1}}"
    versioned = SET.replace("{name: filebeat-sidecarset}", label)

    def pinned(revision: str) -> str:
        return versioned.replace("spec:\n", f"spec:\n  injectionStrategy: {{revision: {{{revision}}}}}\n")

    said = refused(POD, pinned(given), BINDING, CONFIG)
    assert "spec.injectionStrategy.revision: Forbidden: a run has only the set as it is written" in said
    assert "label apps.kruise.io/sidecarset-custom-version" in said
    assert containers(loaded(POD, pinned("customVersion: v1"), BINDING, CONFIG)) == [["filebeat", "app"]]
