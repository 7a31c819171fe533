"""What a pod may be told of itself, in files and in variables: the downward API.

Formats and messages are pkg/fieldpath/fieldpath.go and pkg/api/v1/resource/helpers.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vkprovider.errors import SpecError
from vkprovider.model import names
from vkprovider.model.container import Container, ResourceFieldSelector
from vkprovider.model.pod import ObjectMeta, Pod
from vkprovider.model.quantity import millis, parse, whole

Quantity = str | int | float

_KEYED_FIELD = re.compile(r"(.+?)\['(.*)'\]", re.DOTALL)
_RESOURCE = re.compile(r"(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.*)")
_OVERCOMMITTED = ("cpu", "memory", "ephemeral-storage")  # without a limit, all there is may be used
_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_LAST_ASCII, _LAST_SHORT = 0x7F, 0xFFFF


def metadata_field(pod: Pod, path: str) -> str:
    """A field of the pod's metadata; a label or annotation that is not there is empty. Raises SpecError."""
    meta = pod.metadata
    keyed = _KEYED_FIELD.fullmatch(path)
    if keyed is not None:
        return _keyed(meta, path, keyed[1], keyed[2])
    fields = {"metadata.name": meta.name, "metadata.namespace": meta.namespace, "metadata.uid": meta.uid}
    if path in fields:
        return fields[path]
    if path == "metadata.labels":
        return _listed(meta.labels)
    if path == "metadata.annotations":
        return _listed(meta.annotations)
    raise SpecError(f"unsupported fieldPath: {path}")


def resource_field(selector: ResourceFieldSelector, container: Container, allocatable: Mapping[str, Quantity]) -> str:
    """A request or limit of a container in units of the selector's divisor, rounded up.

    Without a limit it is what the node has for pods, ``allocatable``. Raises SpecError.
    """
    match = _RESOURCE.fullmatch(selector.resource)
    if match is None:
        raise SpecError(f"unsupported container resource : {selector.resource}")
    kind, name = match.groups()
    resources = container.resources
    amount: Quantity = (resources.limits if kind == "limits" else resources.requests).get(name, 0)
    if kind == "limits" and name in _OVERCOMMITTED and not parse(amount):
        amount = allocatable.get(name, 0)
    divisor = selector.divisor if parse(selector.divisor) else 1
    unit = millis if name == "cpu" else whole
    return str(-(-unit(amount) // unit(divisor)))


def container_named(pod: Pod, name: str) -> Container:
    """Raises SpecError where the pod has no such container."""
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        if container.name == name:
            return container
    raise SpecError(f"container {name} not found")


def _keyed(meta: ObjectMeta, path: str, field: str, key: str) -> str:
    if field not in ("metadata.labels", "metadata.annotations"):
        raise SpecError(f'fieldPath "{path}" does not support subscript')
    labels = field == "metadata.labels"
    complaints = names.qualified(key if labels else key.lower())
    if complaints:
        raise SpecError(f"invalid key subscript in {path}: {';'.join(complaints)}")
    return (meta.labels if labels else meta.annotations).get(key, "")


def _listed(values: Mapping[str, str]) -> str:
    """A line for each, in the order of the keys' bytes; no newline at the end."""
    return "\n".join(f"{key}={_quoted(values[key])}" for key in sorted(values, key=str.encode))


def _quoted(text: str) -> str:
    """As Go quotes a string (strconv.Quote)."""
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    code = ord(char)
    if code <= _LAST_ASCII:
        return _SHORT.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= _LAST_SHORT else f"\\U{code:08x}"
