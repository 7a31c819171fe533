"""What a line of Docker's list is taken to show."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.engine.glances import glances
from vkprovider.model.labels import CONTAINER_TYPE, ContainerIdentity, encode
from vkprovider.model.refs import PodUID

UID = PodUID("u")


def line(status: str = "Up 5 minutes", state: str = "running", ip: str = "", uid: str = UID, **more: Any) -> Any:
    identity = ContainerIdentity(
        node="n", type=CONTAINER_TYPE, pod_name="p", pod_namespace="ns", pod_uid=PodUID(uid), name="app", attempt=0
    )
    networks = {"bridge": {"IPAddress": ip, "GlobalIPv6Address": ""}} if ip else {}
    entry = {"Id": "c", "State": state, "Status": status, "NetworkSettings": {"Networks": networks}}
    return entry | {"Labels": dict(encode(identity))} | more


EXITED = line("Exited (1) 2 minutes ago", "exited")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (line(), line("Up 6 days"), True),
        (line(), line("Up About an hour"), True),
        (line(), line("Up 5 minutes (Paused)", "paused"), False),
        (line(), line(Id="d"), False),
        (line(), line(ip="172.17.0.2"), False),
        (line(ip="172.17.0.3"), line(ip="172.17.0.2"), False),
        (EXITED, line("Exited (1) 3 weeks ago", "exited"), True),
        (EXITED, line("Exited (0) 2 minutes ago", "exited"), False),
        (line("Created", "created"), line("Created", "created"), True),
    ],
)
def test_what_is_shown_stays_while_nothing_happens(one: Any, other: Any, same: bool) -> None:
    assert (glances([one]) == glances([other])) is same


@pytest.mark.parametrize(
    ("status", "fresh"),
    [
        ("Up Less than a second", True),
        ("Up 1 second", True),
        ("Up 59 seconds", True),
        ("Exited (0) 3 seconds ago", True),
        ("Up About a minute", False),
        ("Exited (137) 2 minutes ago", False),
        ("Created", False),
    ],
)
def test_the_age_tells_what_is_fresh(status: str, fresh: bool) -> None:
    assert glances([line(), line(status)])[UID].fresh is fresh


def test_the_containers_of_each_pod() -> None:
    found = glances([line(), line(Id="d"), line(uid="other"), line(Labels=None), line(Labels={"some": "label"})])
    assert {uid: len(glance.shown) for uid, glance in found.items()} == {UID: 2, "other": 1}
