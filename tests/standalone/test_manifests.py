"""What ``load`` makes of manifests, and the exact line for everything that may be wrong with them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ObjectRef
from vkprovider.standalone.manifests import MAX_SHOWN, ManifestError, Manifests, load

Load = Callable[..., Manifests]
Lines = Callable[..., list[str]]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: app, image: "busybox:1.28"}]}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: test}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: app
        image: busybox:1.28
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter2}
"""


def documents(*texts: str) -> str:
    return "---".join(texts)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load texts as the files a.yaml, b.yaml and so on, relative to the present directory."""
    monkeypatch.chdir(tmp_path)

    def load_texts(*texts: str) -> Manifests:
        names = [f"{letter}.yaml" for letter in "abc"[: len(texts)]]
        for name, text in zip(names, texts, strict=True):
            Path(name).write_text(text)
        return load(names)

    return load_texts


@pytest.fixture
def refused(loaded: Load) -> Lines:
    def lines(*texts: str) -> list[str]:
        with pytest.raises(ManifestError) as caught:
            loaded(*texts)
        assert str(caught.value) == "\n".join(caught.value.lines)
        return list(caught.value.lines)

    return lines


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


def in_container(more: str) -> str:
    """The Job with more lines in its container."""
    return JOB + "".join(f"        {line}\n" for line in more.splitlines())


AT = "a.yaml: document 1 (Job test): spec.template.spec.containers[0]"
HERE = "a.yaml: document 1 (Job test): "
TAKEN = "Pod, Job, Deployment, ConfigMap, Secret, SidecarSet, SidecarSetResourceBinding and List"

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
    "handler that was refused is told once": (
        JOB + "      volumes:\n      - {name: v, projected: {sources: [{podCertificate: {keyType: ED25519}}]}}\n",
        [
            f"{HERE}spec.template.spec.volumes[0].projected.sources[0].podCertificate: "
            "known to Kubernetes, but vkprovider does not honour it"
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
    # references
    "missing ConfigMap of a variable": (
        in_container("env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: k}}}]"),
        [
            f'{AT}.env[0].valueFrom.configMapKeyRef.name: Not found: "settings": '
            'no ConfigMap of that name in namespace "default" is among the manifests'
        ],
    ),
    "missing key": (
        documents(in_container("env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: k}}}]"), CONFIG),
        [
            f'{AT}.env[0].valueFrom.configMapKeyRef.key: Not found: "k": no key of the ConfigMap "settings"',
        ],
    ),
    "missing Secret of envFrom": (
        in_container("envFrom: [{secretRef: {name: login}}]"),
        [
            f'{AT}.envFrom[0].secretRef.name: Not found: "login": '
            'no Secret of that name in namespace "default" is among the manifests'
        ],
    ),
    "missing ConfigMap of a volume": (
        JOB + "      volumes: [{name: v, configMap: {name: settings}}]\n",
        [
            f'{HERE}spec.template.spec.volumes[0].configMap.name: Not found: "settings": '
            'no ConfigMap of that name in namespace "default" is among the manifests'
        ],
    ),
    "missing Secret of a projected volume": (
        JOB + "      volumes: [{name: v, projected: {sources: [{secret: {name: login}}]}}]\n",
        [
            f'{HERE}spec.template.spec.volumes[0].projected.sources[0].secret.name: Not found: "login": '
            'no Secret of that name in namespace "default" is among the manifests'
        ],
    ),
    "a claim": (
        JOB + "      volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]\n",
        [
            f"{HERE}spec.template.spec.volumes[0].persistentVolumeClaim: Forbidden: "
            "there is no cluster here to claim volumes of: use a hostPath or an emptyDir"
        ],
    ),
    "an ephemeral claim": (
        JOB + "      volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {}}}}]\n",
        [
            f"{HERE}spec.template.spec.volumes[0].ephemeral: Forbidden: "
            "there is no cluster here to claim volumes of: use an emptyDir"
        ],
    ),
    "an ephemeral claim without a template": (
        JOB + "      volumes: [{name: v, ephemeral: {}}]\n",
        [
            f"{HERE}spec.template.spec.volumes[0].ephemeral.volumeClaimTemplate: Required value",
            f"{HERE}spec.template.spec.volumes[0].ephemeral: Forbidden: "
            "there is no cluster here to claim volumes of: use an emptyDir",
        ],
    ),
    "a token": (
        JOB + "      volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]\n",
        [
            f"{HERE}spec.template.spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: "
            "there is no API server here that could give a token: take this source away"
        ],
    ),
    "missing key of a volume": (
        documents(
            JOB + "      volumes: [{name: v, secret: {secretName: login, items: [{key: k, path: k}]}}]\n", SECRET
        ),
        [
            f'{HERE}spec.template.spec.volumes[0].secret.items[0].key: Not found: "k": no key of the Secret "login"',
        ],
    ),
    "ConfigMap of another namespace": (
        documents(
            in_container("envFrom: [{configMapRef: {name: settings}}]"), CONFIG.replace("}", ", namespace: x}", 1)
        ),
        [
            f'{AT}.envFrom[0].configMapRef.name: Not found: "settings": '
            'no ConfigMap of that name in namespace "default" is among the manifests'
        ],
    ),
    "a ConfigMap that is broken itself is not missing": (
        documents(in_container("envFrom: [{configMapRef: {name: settings}}]"), CONFIG.replace("red", "5")),
        ["a.yaml: document 2 (ConfigMap settings): data[colour]: must be a string, not 5: put it in quotes"],
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
