"""The exact line for everything that may be wrong with manifests."""

from __future__ import annotations

import pytest

from tests.standalone.manifest_texts import (
    AT,
    CONFIG,
    HERE,
    JOB,
    POD,
    SECRET,
    TAKEN,
    Lines,
    documents,
    in_container,
)
from vkprovider.standalone.manifests import MAX_SHOWN

BAD: dict[str, tuple[str, list[str]]] = {
    # the object itself
    "unknown kind": (
        JOB.replace("kind: Job", "kind: Jbo"),
        ['a.yaml: document 1 (Jbo test): kind: unknown kind "Jbo", did you mean "Job"?'],
    ),
    "kind of a cluster": (
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web}\n",
        [
            'a.yaml: document 1 (StatefulSet web): kind: "StatefulSet" is no kind that vkprovider runs: '
            f"it takes {TAKEN}"
        ],
    ),
    "kind of a near name": (
        JOB.replace("kind: Job", "kind: CronJob"),
        [f'a.yaml: document 1 (CronJob test): kind: "CronJob" is no kind that vkprovider runs: it takes {TAKEN}'],
    ),
    "no kind": (
        "apiVersion: v1\nmetadata: {name: x}\n",
        [f"a.yaml: document 1 (x): kind: Required value: vkprovider runs {TAKEN}"],
    ),
    "no kind and no version": (
        "a: b\n",
        [
            f"a.yaml: document 1: kind: Required value: vkprovider runs {TAKEN}",
            "a.yaml: document 1: apiVersion: Required value",
        ],
    ),
    "no version": (
        JOB.replace("apiVersion: batch/v1", ""),
        ['a.yaml: document 1 (Job test): apiVersion: Required value: "batch/v1" for a Job'],
    ),
    "wrong version": (
        JOB.replace("batch/v1", "v1"),
        ['a.yaml: document 1 (Job test): apiVersion: must be "batch/v1" for a Job, not "v1"'],
    ),
    "no name": (
        POD.replace("name: p", ""),
        ["a.yaml: document 1 (Pod): metadata.name: Required value: name or generateName is required"],
    ),
    "a number as a name": (
        POD.replace("name: p", "name: 007"),
        ["a.yaml: document 1 (Pod): metadata.name: must be a string, not 7: put it in quotes"],
    ),
    "no metadata": (
        POD.replace("metadata: {name: p}", ""),
        ["a.yaml: document 1 (Pod): metadata.name: Required value: name or generateName is required"],
    ),
    "no spec": (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: test}\n",
        ["a.yaml: document 1 (Job test): spec: Required value"],
    ),
    "a list": ("- a\n", ["a.yaml: document 1: must be an object with apiVersion, kind and metadata, not a list"]),
    "a word": (
        "hello\n",
        ["a.yaml: document 1: must be an object with apiVersion, kind and metadata, not a single value"],
    ),
    "items that are no list": (
        "{apiVersion: v1, kind: List, items: {a: b}}",
        ["a.yaml: document 1 (List): items: must be a list"],
    ),
    "an item of a list": (
        "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: p}}]}",
        ["a.yaml: document 1, item 1 (Pod p): spec.containers: Required value"],
    ),
    "an empty list": (
        "{apiVersion: v1, kind: List, items: []}",
        ["a.yaml: nothing to run: there is no Pod, no Job and no Deployment"],
    ),
    "nothing to run": (CONFIG, ["a.yaml: nothing to run: there is no Pod, no Job and no Deployment"]),
    "the same object twice": (
        documents(JOB, JOB),
        [
            'a.yaml: document 2 (Job test): metadata.name: Duplicate value: "test": '
            "this Job is also in a.yaml: document 1"
        ],
    ),
    # fields
    "misspelt field": (
        in_container("imagee: y"),
        [f'{AT}.imagee: unknown field "imagee", did you mean "image"?'],
    ),
    "misspelt required field is told once": (
        JOB.replace("image:", "imagee:"),
        [f'{AT}.imagee: unknown field "imagee", did you mean "image"?'],
    ),
    "misspelt at the top": (
        POD.replace("spec:", "spce:"),
        ['a.yaml: document 1 (Pod p): spce: unknown field "spce", did you mean "spec"?'],
    ),
    "field in the wrong place": (
        JOB + "  restartPolicy: Never\n",
        [f'{HERE}spec.restartPolicy: unknown field "restartPolicy": it belongs in the pod spec'],
    ),
    "unknown field": (
        in_container("zebra: 1"),
        [f'{AT}.zebra: unknown field "zebra"'],
    ),
    "field that is not honoured": (
        in_container("volumeDevices: [{name: d, devicePath: /dev/d}]"),
        [f"{AT}.volumeDevices: known to Kubernetes, but vkprovider does not honour it"],
    ),
    "volume that is not honoured": (
        JOB + "      volumes: [{name: v, nfs: {server: s}}]\n",
        [f"{HERE}spec.template.spec.volumes[0].nfs: known to Kubernetes, but vkprovider does not honour it"],
    ),
    "a managed Job": (
        JOB + "  managedBy: example.com/mine\n",
        [f"{HERE}spec.managedBy: known to Kubernetes, but vkprovider does not honour it"],
    ),
    "wrong type": (
        in_container("command: echo hi"),
        [f'{AT}.command: must be a list, not the string "echo hi"'],
    ),
    "true for a string": (
        in_container("env: [{name: A, value: yes}]"),
        [f"{AT}.env[0].value: must be a string, not true: put it in quotes"],
    ),
    "number for a string": (
        in_container("env: [{name: A, value: 8080}]"),
        [f"{AT}.env[0].value: must be a string, not 8080: put it in quotes"],
    ),
    "on as an argument": (
        in_container("args: [--debug, on]"),
        [f"{AT}.args[1]: must be a string, not true: put it in quotes"],
    ),
    "number in a ConfigMap": (
        documents(POD, CONFIG.replace("red", "5")),
        ["a.yaml: document 2 (ConfigMap settings): data[colour]: must be a string, not 5: put it in quotes"],
    ),
    "number in a Secret, not repeated": (
        documents(POD, SECRET.replace("hunter2", "1234")),
        ["a.yaml: document 2 (Secret login): stringData[password]: must be a string: put it in quotes"],
    ),
    "quantity": (
        in_container("resources: {limits: {memory: 1GB}}"),
        [
            f'{AT}.resources.limits[memory]: Invalid value: "1GB": must be a quantity: '
            "a number with a suffix or none, as 2, 500m, 128Mi or 1.5Gi"
        ],
    ),
    "no restart policy": (
        JOB.replace("restartPolicy: Never", "dnsPolicy: Default"),
        [f'{HERE}spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ),
    "unknown volume": (
        in_container("volumeMounts: [{name: w, mountPath: /w}]"),
        [f'{AT}.volumeMounts[0].name: Not found: "w": the pod has no volume of that name'],
    ),
    "certificate of the pod's own": (
        JOB + "      volumes:\n      - {name: v, projected: {sources: [{podCertificate: "
        "{signerName: example.com/pods, keyType: ED25519, keyPath: key}}]}}\n",
        [
            f"{HERE}spec.template.spec.volumes[0].projected.sources[0].podCertificate: "
            "Forbidden: there is no cluster here whose signer could certify a key: take this source away"
        ],
    ),
    "authorities that nobody has given": (
        JOB + "      volumes:\n      - {name: v, projected: {sources: [{clusterTrustBundle: {name: ca, path: ca.pem}}, "
        "{clusterTrustBundle: {signerName: example.com/pods, path: pods.pem, labelSelector: {}}}]}}\n",
        [
            f"{HERE}spec.template.spec.volumes[0].projected.sources[0].clusterTrustBundle: while getting "
            'ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "ca" not found: '
            "there are no others than those in the manifests",
            f"{HERE}spec.template.spec.volumes[0].projected.sources[1].clusterTrustBundle: "
            "combination of signerName and labelSelector matched zero ClusterTrustBundles: "
            "there are no others than those in the manifests",
        ],
    ),
    "everything at once, in order": (
        documents(in_container("imagee: y\ntty: 1"), JOB.replace("name: test", "name: Two")),
        [
            f"{AT}.tty: must be true or false, not 1",
            f'{AT}.imagee: unknown field "imagee", did you mean "image"?',
            'a.yaml: document 2 (Job Two): metadata.name: Invalid value: "Two": a lowercase RFC 1123 subdomain must '
            "consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'example.com', regex used for validation is "
            r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
    ),
    # text
    "empty": ("", ["a.yaml: holds no objects"]),
    "comments alone": ("# nothing\n---\n# here\n", ["a.yaml: holds no objects"]),
    "broken YAML": (
        documents(POD, "\na: b: c\n"),
        ["a.yaml: document 2: line 7, column 5: mapping values are not allowed in this context"],
    ),
    "a tab": (
        "a:\n\tb: c\n",
        [
            "a.yaml: document 1: line 2, column 1: "
            "found character that cannot start any token while scanning for the next token"
        ],
    ),
    "key twice": (
        in_container("image: other"),
        ['a.yaml: document 1: line 12, column 9: the key "image" is given twice, first in line 11'],
    ),
    "a tag": (
        "a: !!python/object:os.system ls\n",
        ["a.yaml: document 1: line 1, column 4: the tag tag:yaml.org,2002:python/object:os.system is not accepted"],
    ),
    "broken JSON": (
        '{"kind": "Pod"',
        ["a.yaml: document 1: line 2, column 1: did not find expected ',' or '}' while parsing a flow mapping"],
    ),
}


@pytest.mark.parametrize(("text", "lines"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_with_exactly(refused: Lines, text: str, lines: list[str]) -> None:
    assert refused(text) == lines


def test_the_same_object_in_two_files(refused: Lines) -> None:
    assert refused(JOB, JOB) == [
        'b.yaml: document 1 (Job test): metadata.name: Duplicate value: "test": this Job is also in a.yaml: document 1'
    ]


def test_one_bad_file_spoils_all(refused: Lines) -> None:
    assert refused(JOB, "") == ["b.yaml: holds no objects"]


def test_objects_before_a_break_are_judged_too(refused: Lines) -> None:
    lines = refused(documents(POD.replace("image:", "imagee:"), "\na: [\n"))
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == ["document 1 (Pod p)", "document 2"]


def test_a_long_list_of_problems_is_cut(refused: Lines) -> None:
    lines = refused(in_container("\n".join(f"zebra{number}: 1" for number in range(30))))
    assert len(lines) == MAX_SHOWN + 1
    assert lines[-1] == "and 10 more"


def test_after_very_many_problems_no_more_are_looked_for(refused: Lines) -> None:
    assert refused("---\n".join(["kind: Jbo\n"] * 3000))[-1] == "and at least 80 more"


def test_no_control_character_reaches_the_terminal(refused: Lines) -> None:
    [line] = refused(POD.replace("spec: {", 'spec: {"\\e[31m\\nred": 1, '))
    assert line.isprintable()
    assert line == (r'a.yaml: document 1 (Pod p): spec["\u001b[31m\nred"]: unknown field "\u001b[31m\nred"')


def test_long_values_are_cut(refused: Lines) -> None:
    lines = refused(POD.replace("name: p}", f"name: {'A' * 100_000}}}"))
    assert [len(line) < 600 for line in lines] == [True, True]
