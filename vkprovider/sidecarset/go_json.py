"""JSON as Go's encoder writes the containers of a SidecarSet: OpenKruise hashes that text, to the byte.

Fields come in the order of their structs, those unknown there are left out, and zero values as their tags say
(k8s.io/api/core/v1/types.go, apis/apps/v1alpha1/sidecarset_types.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from vkprovider.model.quantity import in_binary, millis, whole

# A word for each field: "!" is written always, "*" wherever it is given, others unless empty; after ":" is its type,
# with "[]" a list of it.
_STRUCTS = {
    "SidecarContainer": """name! image command args workingDir ports:ContainerPort[] envFrom:EnvFromSource[]
        env:EnvVar[] resources!:Resources resizePolicy:ResizePolicy[] restartPolicy* restartPolicyRules:RestartRule[]
        volumeMounts:VolumeMount[] volumeDevices:VolumeDevice[] livenessProbe*:Probe readinessProbe*:Probe
        startupProbe*:Probe lifecycle*:Lifecycle terminationMessagePath terminationMessagePolicy imagePullPolicy
        securityContext*:SecurityContext stdin stdinOnce tty podInjectPolicy upgradeStrategy!:UpgradeStrategy
        shareVolumePolicy!:ShareVolumePolicy transferEnv:TransferEnvVar[]""",
    "UpgradeStrategy": "upgradeType hotUpgradeEmptyImage",
    "ShareVolumePolicy": "type",
    "TransferEnvVar": "sourceContainerName sourceContainerNameFrom*:SourceContainerName envName envNames",
    "SourceContainerName": "fieldRef*:FieldSelector",
    "ContainerPort": "name hostPort containerPort! protocol hostIP",
    "EnvFromSource": "prefix configMapRef*:EnvSource secretRef*:EnvSource",
    "EnvSource": "name optional*",
    "EnvVar": "name! value valueFrom*:EnvVarSource",
    "EnvVarSource": """fieldRef*:FieldSelector resourceFieldRef*:ResourceFieldSelector
        configMapKeyRef*:KeySelector secretKeyRef*:KeySelector fileKeyRef*:FileKeySelector""",
    "FieldSelector": "apiVersion fieldPath!",
    "ResourceFieldSelector": "containerName resource! divisor!:Quantity",
    "KeySelector": "name key! optional*",
    "FileKeySelector": "volumeName! path! key! optional*",
    "Resources": "limits:Quantities requests:Quantities claims:Claim[]",
    "Claim": "name! request",
    "ResizePolicy": "resourceName! restartPolicy!",
    "RestartRule": "action exitCodes*:ExitCodes",
    "ExitCodes": "operator values",
    "VolumeMount": "name! readOnly recursiveReadOnly* mountPath! subPath mountPropagation* subPathExpr",
    "VolumeDevice": "name! devicePath!",
    "Probe": """exec*:Exec httpGet*:HTTPGet tcpSocket*:TCPSocket grpc*:GRPC initialDelaySeconds timeoutSeconds
        periodSeconds successThreshold failureThreshold terminationGracePeriodSeconds*""",
    "Lifecycle": "postStart*:Handler preStop*:Handler stopSignal*",
    "Handler": "exec*:Exec httpGet*:HTTPGet tcpSocket*:TCPSocket sleep*:Sleep",
    "Exec": "command",
    "HTTPGet": "path port! host scheme httpHeaders:HTTPHeader[]",
    "HTTPHeader": "name! value!",
    "TCPSocket": "port! host",
    "GRPC": "port! service!",
    "Sleep": "seconds!",
    "SecurityContext": """capabilities*:Capabilities privileged* seLinuxOptions*:SELinuxOptions
        windowsOptions*:WindowsOptions runAsUser* runAsGroup* runAsNonRoot* readOnlyRootFilesystem*
        allowPrivilegeEscalation* procMount* seccompProfile*:Profile appArmorProfile*:Profile""",
    "Capabilities": "add drop",
    "SELinuxOptions": "user role type level",
    "WindowsOptions": "gmsaCredentialSpecName* gmsaCredentialSpec* runAsUserName* hostProcess*",
    "Profile": "type! localhostProfile*",
}
_ZEROES: dict[tuple[str, str], Any] = {  # of fields that are written always, where they are no strings
    ("ContainerPort", "containerPort"): 0,
    ("HTTPGet", "port"): 0,
    ("TCPSocket", "port"): 0,
    ("GRPC", "port"): 0,
    ("GRPC", "service"): None,
    ("Sleep", "seconds"): 0,
}
_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_KIBI = 1024


class _Field(NamedTuple):
    name: str
    mark: str
    type: str
    many: bool


def go_json(value: Any) -> str:
    """JSON without spaces, and without anything that could be HTML. The keys of mappings stay in their order."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def in_go_order(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the fields that its struct has, in their order; ``kind`` is SidecarContainer or part of one."""
    made: dict[str, Any] = {}
    for field in _fields(kind):
        given = value.get(field.name)
        if given is None and field.mark != "!":
            continue
        read = _value(field, given) if given is not None else _zero(kind, field)
        if field.mark or read:
            made[field.name] = read
    return made


@cache
def _fields(kind: str) -> tuple[_Field, ...]:
    found = []
    for word in _STRUCTS[kind].split():
        name, _, typed = word.partition(":")
        found.append(_Field(name.rstrip("!*"), name[-1] if name[-1] in "!*" else "", typed.rstrip("[]"), "[" in typed))
    return tuple(found)


def _value(field: _Field, given: Any) -> Any:
    if field.type == "Quantity":
        return canonical(str(given))
    if field.type == "Quantities":
        return {name: canonical(str(given[name])) for name in sorted(given)}
    if not field.type:
        return given
    return [in_go_order(field.type, item) for item in given] if field.many else in_go_order(field.type, given)


def _zero(kind: str, field: _Field) -> Any:
    if field.type == "Quantity":
        return "0"
    return in_go_order(field.type, {}) if field.type else _ZEROES.get((kind, field.name), "")


def canonical(quantity: str) -> str:
    """A quantity with the largest suffix of its sort that leaves no fraction, rounded up to thousandths.

    apimachinery/pkg/api/resource/quantity.go CanonicalizeBytes. Raises SpecError where it is none.
    """
    amount = millis(quantity)
    if quantity.endswith("i") and abs(amount) >= _KIBI * 1000:
        return in_binary(whole(quantity))
    power = -1
    while amount and amount % 1000 == 0 and power < len(_DECIMAL) - 2:
        amount, power = amount // 1000, power + 1
    exponent = re.search("[eE][+-]?[0-9]", quantity) is not None
    suffix = (f"e{3 * power}" if power else "") if exponent else _DECIMAL[power + 1]
    return f"{amount}{suffix}" if amount else "0"
