"""The picture: well-formed, accessible, harmless, small, and the same as in the documentation."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from tests.standalone.rehearsal import at
from tests.standalone.test_tree import many_pods, mixed_pod, the_seeds_job
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.svg import WIDTH, svg
from vkprovider.standalone.timeline import timeline

IMAGES = Path(__file__).parents[2] / "docs" / "images"
NS = "{http://www.w3.org/2000/svg}"


def picture(chronicle: Chronicle, second: float = 60) -> ET.Element:
    return ET.fromstring(svg(timeline(chronicle, at(second))))


def test_it_says_in_words_what_it_shows() -> None:
    root = picture(the_seeds_job(60))
    assert root.get("role") == "img"
    labels = (root.get("aria-labelledby") or "").split()
    found = {e.get("id"): e.text for e in root if e.get("id") in labels}
    assert found == {
        "title": "Job test: not finished, 0 succeeded, 0 failed (60 s)",
        "desc": "sidecar: ignored TERM for 30 s, killed, 137 -> 0 "
        "(native sidecar: an init container with restartPolicy Always). app: exit 0 after 10 s",
    }


def test_every_bar_is_in_proportion_and_says_its_length() -> None:
    root = picture(the_seeds_job(60))
    bars = {r[0].text: float(r.get("width", 0)) for r in root.iter(f"{NS}rect") if len(r)}
    assert set(bars) == {
        "sidecar: pull, 3 s",
        "sidecar: start, 0.1 s",
        "sidecar: running, 10.2 s",
        "sidecar: TERM, 30 s",
        "sidecar: KILL, 0.02 s",
        "app: start, 0.1 s",
        "app: running, 10 s",
    }
    assert bars["sidecar: TERM, 30 s"] == pytest.approx(3 * bars["app: running, 10 s"], rel=0.01)
    assert bars["sidecar: KILL, 0.02 s"] >= 2.5, "short, and yet to be seen"


@pytest.mark.parametrize("chronicle", [the_seeds_job(60), mixed_pod(60), mixed_pod(0), many_pods(), Chronicle()])
def test_nothing_lies_outside_of_the_picture(chronicle: Chronicle) -> None:
    root = picture(chronicle)
    height = float(root.get("height", 0))
    for shape in root.iter(f"{NS}rect"):
        right = float(shape.get("x", 0)) + float(shape.get("width", 0))
        bottom = float(shape.get("y", 0)) + float(shape.get("height", 0))
        assert 0 <= float(shape.get("x", 0)) <= right <= WIDTH
        assert 0 <= float(shape.get("y", 0)) <= bottom <= height
    for text in root.iter(f"{NS}text"):
        assert 0 < float(text.get("y", 0)) < height


def test_names_cannot_smuggle_markup_or_control_characters_in() -> None:
    chronicle = the_seeds_job(60)
    pod = chronicle.pods[0]
    evil = msgspec.structs.replace(
        pod.containers[0], name='"><script>alert(1)</script>&\x00\x1b[31m\ud800', why="</desc>"
    )
    chronicle = chronicle.with_pod(msgspec.structs.replace(pod, containers=(evil, pod.containers[1])))
    text = svg(timeline(chronicle, at(60)))
    text.encode()
    root = ET.fromstring(text)
    assert not list(root.iter(f"{NS}script"))
    assert "\x1b" not in text
    assert any("<script>alert(1)" in (t.text or "") for t in root.iter(f"{NS}text"))


def test_it_stands_for_itself_and_follows_light_and_dark() -> None:
    text = svg(timeline(the_seeds_job(60), at(60)))
    assert "prefers-color-scheme:dark" in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert len(text) < 6000


def test_the_picture_in_the_documentation_is_up_to_date() -> None:
    made = runpy.run_path(str(IMAGES / "make_timeline.py"))["picture"]()
    kept = (IMAGES / "timeline.svg").read_text(encoding="utf-8")
    assert made == kept, "run: PYTHONPATH=. python docs/images/make_timeline.py"
    assert "sidecar: ignored TERM for 30 s, killed, 137 -&gt; 0" in kept
