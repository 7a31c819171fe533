"""recursiveReadOnly: a row per rule of pkg/kubelet/kubelet_pods.go resolveRecursiveReadOnly."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.faults import Fault
from vkprovider.core.read_only import effective_mode, in_depth, is_recursive
from vkprovider.model.container import VolumeMount
from vkprovider.model.create import Mount

READ_ONLY = {"name": "v", "mountPath": "/v", "readOnly": True}


def mount(mode: str | None, **fields: Any) -> VolumeMount:
    mounts = [READ_ONLY | fields | ({} if mode is None else {"recursiveReadOnly": mode})]
    return pod(container("app", volumeMounts=mounts)).spec.containers[0].volume_mounts[0]


@pytest.mark.parametrize(
    ("mode", "able", "recursive"),
    [
        (None, True, False),
        ("Disabled", True, False),
        ("IfPossible", False, False),
        ("IfPossible", True, True),
        ("Enabled", True, True),
    ],
)
def test_a_mount_is_read_only_in_depth(mode: str | None, able: bool, recursive: bool) -> None:
    assert is_recursive(mount(mode), able=able) is recursive
    assert effective_mode(mount(mode), able=able) == ("Enabled" if recursive else "Disabled")


ASKED = 'volume "v" requested recursive read-only mode, but it is not '


@pytest.mark.parametrize(
    ("wanted", "able", "message"),
    [
        (mount("Enabled"), False, f"{ASKED}supported by the runtime"),
        (mount("IfPossible", readOnly=False), True, f"{ASKED}read-only"),
        (
            mount("Enabled", mountPropagation="HostToContainer"),
            True,
            f'{ASKED}compatible with propagation "HostToContainer"',
        ),
        (mount("Sometimes"), True, 'unknown recursive read-only mode "Sometimes"'),
    ],
)
def test_one_that_cannot_be_so_is_none(wanted: VolumeMount, able: bool, message: str) -> None:
    with pytest.raises(Fault) as fault:
        is_recursive(wanted, able=able)
    assert (fault.value.message, fault.value.waiting_reason) == (message, "CreateContainerConfigError")
    assert effective_mode(wanted, able=able) == "Disabled"


def test_the_mounts_of_a_container_are_marked_by_their_place() -> None:
    wanted = [READ_ONLY | {"mountPath": "/deep/", "recursiveReadOnly": "IfPossible"}, READ_ONLY]
    app = pod(container("app", volumeMounts=wanted)).spec.containers[0]
    mounts = tuple(Mount(source="/s", target=place, read_only=True) for place in ("/deep", "/v", "/etc/hosts"))
    assert in_depth(app, mounts, able=False) == mounts
    assert [made.recursive_read_only for made in in_depth(app, mounts, able=True)] == [True, False, False]
