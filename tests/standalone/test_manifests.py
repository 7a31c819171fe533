"""What ``load`` makes of manifests."""

from __future__ import annotations

import io

from tests.standalone.manifest_texts import (
    CLASS,
    CONFIG,
    JOB,
    POD,
    SECRET,
    Load,
    documents,
)
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ObjectRef
from vkprovider.standalone.manifests import load


def test_objects_come_in_the_order_given_and_complete(loaded: Load) -> None:
    manifests = loaded(documents(CONFIG, POD), documents(JOB, SECRET))
    assert [raw["kind"] for raw in manifests.objects] == ["ConfigMap", "Pod", "Job", "Secret"]
    [pod], [job] = manifests.pods, manifests.jobs
    assert (pod["metadata"]["namespace"], pod["spec"]["terminationGracePeriodSeconds"]) == ("default", 30)
    assert job["spec"]["backoffLimit"] == 6
    assert manifests.warnings == ()


def test_fields_that_are_not_read_are_kept(loaded: Load) -> None:
    [pod] = loaded(POD.replace("spec: {", "spec: {nodeSelector: {a: b}, priority: 7, ")).pods
    assert (pod["spec"]["nodeSelector"], pod["spec"]["priority"]) == ({"a": "b"}, 7)


async def test_config_maps_and_secrets_are_to_be_had(loaded: Load) -> None:
    found = loaded(documents(POD, CONFIG, SECRET))
    store, pod = found.store, decode_pod(found.pods[0])
    settings = await store.get(ObjectRef("ConfigMap", "default", "settings"), pod)
    login = await store.get(ObjectRef("Secret", "default", "login"), pod)
    assert settings is not None
    assert settings["data"] == {"colour": "red"}
    assert login is not None
    assert login["data"] == {"password": "aHVudGVyMg=="}
    assert await store.get(ObjectRef("Secret", "other", "login"), pod) is None
    assert await store.get(ObjectRef("ConfigMap", "default", "p"), pod) is None


def test_json_is_read_as_well(loaded: Load) -> None:
    text = '{\n\t"apiVersion": "v1",\n\t"kind": "Pod",\n\t"metadata": {"name": "p"},\n'
    text += '\t"spec": {"containers": [{"name": "a", "image": "b"}]}\n}\n'
    assert [pod["metadata"]["name"] for pod in loaded(text + text.replace('"p"', '"q"')).pods] == ["p", "q"]


def test_lists_are_unpacked(loaded: Load) -> None:
    inner = "{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {containers: [{name: a, image: b}]}}"
    bare = "{metadata: {name: %s}, spec: {containers: [{name: a, image: b}]}}"
    text = f"apiVersion: v1\nkind: List\nitems:\n- {inner % 'p'}\n- {{kind: PodList, items: [{bare % 'q'}]}}\n"
    assert [pod["metadata"]["name"] for pod in loaded(text).pods] == ["p", "q"]


def test_an_object_copied_out_of_a_cluster_is_taken(loaded: Load) -> None:
    exported = POD.replace(
        "metadata: {name: p}",
        "metadata: {name: p, uid: u, resourceVersion: '1', creationTimestamp: '2024-01-01T00:00:00Z', "
        "managedFields: [{manager: kubectl}]}\nstatus: {phase: Running, podIPs: [{ip: 10.0.0.1}]}",
    )
    [pod] = loaded(exported).pods
    assert pod["metadata"] == {"name": "p", "namespace": "default", "generation": 1}
    assert "status" not in pod


def test_anchors_and_merges_work(loaded: Load) -> None:
    text = POD.replace("containers: [{", "initContainers: [&a {name: i, image: x}], containers: [{<<: *a, ")
    [pod] = loaded(text).pods
    assert [container["image"] for container in pod["spec"]["containers"]] == ["busybox:1.28"]


def test_octal_modes_are_octal(loaded: Load) -> None:
    volume = "volumes: [{name: v, configMap: {name: settings, defaultMode: 0640}}], "
    [pod] = loaded(documents(POD.replace("spec: {", "spec: {" + volume), CONFIG)).pods
    assert pod["spec"]["volumes"][0]["configMap"]["defaultMode"] == 0o640


def test_dates_and_base_60_are_strings(loaded: Load) -> None:
    env = 'image: x, env: [{name: A, value: 2024-01-01}, {name: B, value: 12:30}], workingDir: "'
    [pod] = loaded(POD.replace('image: "', env)).pods
    assert [variable["value"] for variable in pod["spec"]["containers"][0]["env"]] == ["2024-01-01", "12:30"]


def test_standard_input_is_read() -> None:
    assert len(load(["-"], io.BytesIO(POD.encode())).pods) == 1


def test_names_may_be_generated(loaded: Load) -> None:
    generated = POD.replace("name: p}", "generateName: p-}")
    assert len(loaded(documents(generated, generated)).pods) == 2


BUNDLE = """
apiVersion: certificates.k8s.io/v1beta1
kind: ClusterTrustBundle
metadata: {name: "example.com:pods:ca"}
spec:
  signerName: example.com/pods
  trustBundle: |
    -----BEGIN CERTIFICATE-----
    MAI=
    -----END CERTIFICATE-----
"""


async def test_a_runtime_class_is_found_by_its_name(loaded: Load) -> None:
    manifests = loaded(documents(JOB + "      runtimeClassName: gpu\n", CLASS))
    found = await manifests.store.get(ObjectRef("RuntimeClass", "", "gpu"), Pod())
    assert found is not None
    assert found["handler"] == "nvidia"


async def test_bundles_of_authorities_are_found_by_name_and_by_signer(loaded: Load) -> None:
    sources = """
      volumes:
      - name: trust
        projected:
          sources:
          - clusterTrustBundle: {name: "example.com:pods:ca", path: ca.pem}
          - clusterTrustBundle: {signerName: example.com/pods, labelSelector: {}, path: all.pem}
          - clusterTrustBundle: {name: nowhere, optional: true, path: none.pem}
"""
    store = loaded(documents(JOB + sources, BUNDLE)).store
    named = await store.get(ObjectRef("ClusterTrustBundle", "", "example.com:pods:ca"), Pod())
    assert named is not None
    assert await store.get(ObjectRef("ClusterTrustBundleList", "", "example.com/pods"), Pod()) == {"items": [named]}
    assert await store.get(ObjectRef("ClusterTrustBundleList", "", "example.com/x"), Pod()) == {"items": []}


def test_what_is_optional_may_be_missing(loaded: Load) -> None:
    text = POD.replace(
        'image: "busybox:1.28"',
        "image: x, env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: k, optional: true}}}], "
        "envFrom: [{secretRef: {name: s, optional: true}}]",
    ).replace("spec: {", "spec: {volumes: [{name: v, secret: {secretName: s, optional: true}}], ")
    assert len(loaded(text).pods) == 1


def test_warnings_name_the_field_and_what_happens_instead(loaded: Load) -> None:
    env = "image: x, env: [{name: A}, {name: A}], workingDir: "
    text = POD.replace("image: ", env).replace("spec: {", "spec: {schedulingGates: [{name: s}], ")
    assert loaded(text).warnings == (
        "a.yaml: document 1 (Pod p): spec.schedulingGates: not honoured by vkprovider: nobody holds the pod back",
        'a.yaml: document 1 (Pod p): spec.containers[0].env[1]: hides previous definition of "A"',
    )
