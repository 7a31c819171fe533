"""What Docker's list of containers shows of pods, without a look at each container. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from vkprovider.engine import convert
from vkprovider.model.labels import POD_UID
from vkprovider.model.observed import Glance
from vkprovider.model.refs import PodUID


def glances(entries: Iterable[convert.Json]) -> dict[PodUID, Glance]:
    """From the answer to ``GET /containers/json``."""
    pods: dict[PodUID, list[convert.Json]] = {}
    for entry in entries:
        if convert.is_of_pod(entry["Labels"]):
            pods.setdefault(PodUID(entry["Labels"][POD_UID]), []).append(entry)
    return {
        uid: Glance(shown=frozenset(map(_shown, of_pod)), fresh=any(map(_is_fresh, of_pod)))
        for uid, of_pod in pods.items()
    }


def _shown(entry: convert.Json) -> str:
    """Without its age: "Exited (1) 2 hours ago" is for ever "Exited (1)"."""
    state, status = entry["State"], entry["Status"]
    code = status.partition(")")[0] if state == "exited" else ""
    return " ".join((entry["Id"], state, code, *convert.addresses(entry)))


def _is_fresh(entry: convert.Json) -> bool:
    """Docker rounds down: from a minute on, it counts minutes (docker/go-units, duration.go)."""
    return "second" in entry["Status"]
