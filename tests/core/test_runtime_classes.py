"""Which runtime a pod's containers have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.faults import Fault
from vkprovider.core.runtime_classes import runtime_class, runtime_of
from vkprovider.errors import VkError
from vkprovider.model.refs import ObjectRef

REF = ObjectRef("RuntimeClass", "", "gpu")


def test_a_pod_names_a_class_or_none() -> None:
    assert runtime_class(pod(container("app"), runtimeClassName="gpu")) == REF
    assert runtime_class(pod(container("app"))) is None
    assert runtime_class(pod(container("app"), runtimeClassName="")) is None


@pytest.mark.parametrize(("handler", "runtime"), [("nvidia", "nvidia"), ("runc", "runc"), ("docker", "")])
def test_a_class_names_a_runtime(handler: str, runtime: str) -> None:
    assert runtime_of(REF, {REF: {"handler": handler}}, ("nvidia", "runc")) == runtime


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, 'runtimeclass.node.k8s.io "gpu" not found'),
        (VkError("no route"), "failed to lookup RuntimeClass gpu: no route"),
        ({"handler": "gvisor"}, 'failed to get sandbox runtime: no runtime for "gvisor" is configured'),
        ({}, 'failed to get sandbox runtime: no runtime for "" is configured'),
    ],
)
def test_a_runtime_that_cannot_be_had(found: dict[str, Any] | VkError | None, message: str) -> None:
    with pytest.raises(Fault) as fault:
        runtime_of(REF, {REF: found}, ("runc",))
    assert fault.value.message == message
