"""Capabilities that no container can have on the engine's host."""

from __future__ import annotations

import pytest

from tests.core.given import container, pod
from vkprovider.core.security import unenforced
from vkprovider.core.withheld import without
from vkprovider.model.create import ContainerCreate, DeviceMapping

WITHHELD = ("SYS_RESOURCE",)
EVERYTHING = ("seccomp", "apparmor", "selinux")


def asking(**more: object) -> ContainerCreate:
    return ContainerCreate(name="a", image="i", labels={}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("added", "dropped", "left", "dropped_then"),
    [
        (("NET_ADMIN", "SYS_RESOURCE"), (), ("NET_ADMIN",), ()),
        (("NET_ADMIN",), ("ALL",), ("NET_ADMIN",), ("ALL",)),
        (("ALL",), ("KILL",), ("ALL",), ("KILL", "SYS_RESOURCE")),
        ((), (), (), ()),
    ],
)
def test_the_others_are_given(
    added: tuple[str, ...], dropped: tuple[str, ...], left: tuple[str, ...], dropped_then: tuple[str, ...]
) -> None:
    made = without(asking(cap_add=added, cap_drop=dropped, privileged=False), WITHHELD, known=False)
    assert (made.cap_add, made.cap_drop, made.unmasked) == (left, dropped_then, False)


def test_a_privileged_container_has_all_that_there_is() -> None:
    fuse = DeviceMapping(source="/dev/fuse", target="/fuse")
    made = without(asking(privileged=True, security_opts=("seccomp=x",), devices=(fuse,)), WITHHELD, known=False)
    assert made == asking(
        cap_add=("ALL",),
        cap_drop=WITHHELD,
        security_opts=("seccomp=unconfined", "apparmor=unconfined", "label=disable"),
        unmasked=True,
        devices=(DeviceMapping(source="/dev", target="/dev"), fuse),
    )


def test_where_nothing_is_withheld_all_stays_as_it_is() -> None:
    asked = asking(privileged=True, cap_add=("ALL",))
    assert without(asked, (), known=False) is asked


def test_an_engine_that_knows_them_is_not_told_of_them() -> None:
    """It refuses their names, to give and to take, and gives a privileged container what there is."""
    asked = asking(privileged=True, cap_add=("ALL", "SYS_RESOURCE"), cap_drop=("KILL", "SYS_RESOURCE"))
    assert without(asked, WITHHELD, known=True) == asking(privileged=True, cap_add=("ALL",), cap_drop=("KILL",))


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"privileged": True}, True),
        ({"capabilities": {"add": ["CAP_SYS_RESOURCE"]}}, True),
        ({"capabilities": {"add": ["ALL"]}}, True),
        ({"capabilities": {"add": ["NET_ADMIN"], "drop": ["SYS_RESOURCE"]}}, False),
        ({}, False),
    ],
)
def test_it_is_said_of_those_who_asked(context: dict[str, object], said: bool) -> None:
    line = 'container "app" runs without the capability SYS_RESOURCE: the engine\'s host withholds it'
    given = pod(container("app", securityContext=context))
    assert list(unenforced(given, EVERYTHING, WITHHELD)) == ([line] if said else [])
    assert list(unenforced(given, EVERYTHING)) == []
