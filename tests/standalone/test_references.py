"""What manifests refer to and is not among them: the exact line for it."""

from __future__ import annotations

import pytest

from tests.standalone.manifest_texts import (
    AT,
    CLASS,
    CONFIG,
    HERE,
    JOB,
    SECRET,
    Lines,
    documents,
    in_container,
)

MISSING: dict[str, tuple[str, list[str]]] = {
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
    "missing RuntimeClass": (
        JOB + "      runtimeClassName: nvidia\n",
        [
            f'{HERE}spec.template.spec.runtimeClassName: Not found: "nvidia": '
            "no RuntimeClass of that name is among the manifests"
        ],
    ),
    "RuntimeClass without a runtime": (
        documents(JOB, CLASS.replace("nvidia", "A.B")),
        [
            'a.yaml: document 2 (RuntimeClass gpu): handler: Invalid value: "A.B": a lowercase RFC 1123 label must '
            "consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
            "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
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
}


@pytest.mark.parametrize(("text", "lines"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_named(refused: Lines, text: str, lines: list[str]) -> None:
    assert refused(text) == lines
