from __future__ import annotations

import json

import pytest

from vkprovider.engine.pull_progress import PullStream
from vkprovider.engine.refusals import Refused


def said(status: str, layer: str = "", current: int | None = None, total: int = 0) -> bytes:
    message: dict[str, object] = {"status": status, "id": layer, "progressDetail": {}}
    if current is not None:
        message["progressDetail"] = {"current": current, "total": total}
    return json.dumps(message).encode() + b"\r\n"


def after(*messages: bytes) -> tuple[int, int, str]:
    stream = PullStream("busybox")
    for message in messages:
        assert stream.feed(message)
    progress = stream.progress
    assert progress.image == "busybox"
    return progress.current_bytes, progress.total_bytes, progress.status


def test_layers_add_up_as_they_become_known():
    assert after(said("Pulling from library/busybox", "1.28")) == (0, 0, "Pulling from library/busybox")
    two = (said("Pulling fs layer", "a"), said("Downloading", "a", 10, 100), said("Downloading", "b", 5, 50))
    assert after(*two) == (15, 150, "Downloading")
    assert after(*two, said("Downloading", "a", 70, 100)) == (75, 150, "Downloading")


def test_a_layer_that_is_here_counts_in_full():
    begun = (said("Downloading", "a", 10, 100),)
    for status in ("Download complete", "Verifying Checksum", "Pull complete"):
        assert after(*begun, said(status, "a")) == (100, 100, status)


def test_unpacking_does_not_count_back():
    assert after(said("Downloading", "a", 10, 100), said("Extracting", "a", 1, 100)) == (100, 100, "Extracting")


def test_a_layer_that_was_there_before_counts_nothing():
    assert after(said("Already exists", "a"), said("Downloading", "b", 1, 2)) == (1, 2, "Downloading")


def test_a_total_that_is_unknown_grows_with_what_came():
    assert after(said("Downloading", "a", 10, -1)) == (10, 10, "Downloading")


def test_half_a_line_is_no_news():
    stream = PullStream("busybox")
    whole = said("Downloading", "a", 10, 100)
    assert not stream.feed(whole[:20])
    assert stream.feed(whole[20:])
    assert stream.progress.current_bytes == 10


@pytest.mark.parametrize(
    "message",
    [
        {"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"},
        {"error": "manifest unknown"},
        {"errorDetail": {"code": 401, "message": "manifest unknown"}},
    ],
)
def test_the_registrys_refusal(message: dict[str, object]):
    with pytest.raises(Refused, match=r"^manifest unknown$"):
        PullStream("busybox").feed(json.dumps(message).encode() + b"\r\n")
