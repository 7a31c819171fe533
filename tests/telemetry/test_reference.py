"""The page of all metrics."""

from __future__ import annotations

from pathlib import Path

from tests.telemetry.test_exposition import samples
from vkprovider.core.sidecars import Kind
from vkprovider.node.clock import SystemClock
from vkprovider.telemetry.exposition import node_metrics
from vkprovider.telemetry.node_meter import NodeMeter
from vkprovider.telemetry.reference import KINDS, render
from vkprovider.telemetry.words import kind_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_the_page_says_what_the_catalogue_says() -> None:
    assert PAGE.read_text() == render(), "run `make reference`"


def test_every_name_that_is_told_is_on_the_page() -> None:
    page = PAGE.read_text()
    told = {name for name, _ in samples(node_metrics(NodeMeter(SystemClock())))}
    bare = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in told}
    assert [name for name in bare if f"`{name}`" not in page] == []


def test_every_kind_of_container_is_explained() -> None:
    assert {kind for kind, _ in KINDS} == {kind_of(kind) for kind in Kind}
