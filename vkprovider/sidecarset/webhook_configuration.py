"""What the API server is told of the webhook: which pods to ask it about, and no others.

Where nobody answers, pods are not created (failurePolicy Fail: a pod without its sidecars would be worse). So the
conditions let only those through that are meant for virtual nodes, or say that they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vkprovider.sidecarset.destination import HOSTNAME, VIRTUAL_NODE, DestinationSettings

Json = dict[str, Any]

NAME = "acs-virtual-node"  # configurations are called in the order of their names: before kruise-...
KRUISE = "kruise-mutating-webhook-configuration"
DOMAIN = "vkprovider.alibabacloud.com"
PODS_PATH, SETS_PATH = "/pods", "/sidecarsets"
TIMEOUT_SECONDS = 5
_REQUIRED = "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"


def webhooks(settings: DestinationSettings, client: Mapping[str, Any], spared: Iterable[str] = ()) -> list[Json]:
    """The webhooks of the configuration; ``client`` is their clientConfig, ``spared`` namespaces they are not for.

    The first is for pods that say themselves where they belong. A condition does not see the pod's namespace, hence
    one more for each label that namespaces may have.
    """
    pods = _rule("", ["v1"], "pods", ["CREATE"], "Namespaced")
    spare = [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": sorted(spared)}] if spared else []

    def webhook(name: str, namespaces: list[Json], condition: str) -> Json:
        return _webhook(f"{name}.{DOMAIN}", client, pods) | {
            "failurePolicy": "Fail",
            "matchConditions": [{"name": "virtual-nodes", "expression": condition}],
            "namespaceSelector": {"matchExpressions": namespaces} if namespaces else {},
            "reinvocationPolicy": "Never",
        }

    found = [webhook("pods", spare, _meant(settings))]
    others: list[Json] = []
    for number, (key, value) in enumerate(settings.labels):
        chosen = [{"key": key, "operator": "In", "values": [value]}, *others, *spare]
        found.append(webhook(f"namespaces-{number}", chosen, _undecided(settings)))
        others.append({"key": key, "operator": "NotIn", "values": [value]})
    return found


def set_webhooks(client: Mapping[str, Any]) -> list[Json]:
    """The webhooks of the validating configuration, for SidecarSets that are written. Where nobody answers they are
    written all the same, for what is wrong with them is seen again when they are read.

    Both versions are named: of a version that a cluster does not have, matchPolicy Equivalent leads to no other one.
    """
    sets = _rule("apps.kruise.io", ["v1alpha1", "v1beta1"], "sidecarsets", ["CREATE", "UPDATE"], "Cluster")
    return [_webhook(f"sidecarsets.{DOMAIN}", client, sets) | {"failurePolicy": "Ignore", "namespaceSelector": {}}]


def _webhook(name: str, client: Mapping[str, Any], rule: Json) -> Json:
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": dict(client),
        "matchPolicy": "Equivalent",
        "objectSelector": {},
        "rules": [rule],
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
    }


def _rule(group: str, versions: list[str], resource: str, operations: list[str], scope: str) -> Json:
    return {
        "apiGroups": [group],
        "apiVersions": versions,
        "operations": operations,
        "resources": [resource],
        "scope": scope,
    }


def _meant(settings: DestinationSettings) -> str:
    """The pod says itself that it is meant for virtual nodes, or bears the label of those that are."""
    key, value = settings.type
    nodes = f"[{', '.join(_quoted(name) for name in sorted(settings.nodes))}]"
    selected = [
        "has(object.spec.nodeSelector) && "
        f"{_quoted(key)} in object.spec.nodeSelector && object.spec.nodeSelector[{_quoted(key)}] == {_quoted(value)}"
    ]
    term = [_listed("matchExpressions", f"r.key == {_quoted(key)} && r.values == [{_quoted(value)}]")]
    if settings.nodes:
        selected += [
            f"has(object.spec.nodeName) && object.spec.nodeName in {nodes}",
            f"has(object.spec.nodeSelector) && {_quoted(HOSTNAME)} in object.spec.nodeSelector && "
            f"object.spec.nodeSelector[{_quoted(HOSTNAME)}] in {nodes}",
        ]
        ours = f"r.values.all(v, v in {nodes})"
        term += [
            _listed("matchExpressions", f"r.key == {_quoted(HOSTNAME)} && {ours}"),
            _listed("matchFields", f"r.key == 'metadata.name' && {ours}"),
        ]
    affine = (
        "has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) && "
        f"has({_REQUIRED}) && {_REQUIRED}.nodeSelectorTerms.all(t, {_any(term)})"
    )
    labels = [_label(key, f" == {_quoted(value)}") for key, value in settings.labels]
    return _any([_label(VIRTUAL_NODE), *labels, *selected, affine])


def _undecided(settings: DestinationSettings) -> str:
    """Nothing that the pod says itself is for or against virtual nodes, so that its namespace decides."""
    unbound = "!has(object.spec.nodeName) || object.spec.nodeName == ''"
    undemanding = (
        "!has(object.spec.affinity) || !has(object.spec.affinity.nodeAffinity) || "
        f"!has({_REQUIRED}) || !{_REQUIRED}.nodeSelectorTerms.all(t, has(t.matchFields))"  # not of a DaemonSet
    )
    contrary = _any([_label(key) for key, _ in settings.labels])
    return f"!({_meant(settings)}) && ({unbound}) && ({undemanding}) && !({contrary})"


def _label(key: str, test: str = "") -> str:
    there = f"has(object.metadata.labels) && {_quoted(key)} in object.metadata.labels"
    return f"{there} && object.metadata.labels[{_quoted(key)}]{test}" if test else there


def _listed(field: str, test: str) -> str:
    """Some requirement in the field of the term ``t`` is for values of its key, and for these."""
    return f"has(t.{field}) && t.{field}.exists(r, r.operator == 'In' && {test})"


def _any(conditions: Iterable[str]) -> str:
    return " || ".join(f"({condition})" for condition in conditions)


def _quoted(text: str) -> str:
    """A string of CEL: names, labels and their values need no escapes."""
    return f"'{text}'"
