from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from blockbuster import blockbuster_ctx

from tests.standalone.manifest_texts import Lines, Load
from vkprovider.node.log_setup import set_up_logging
from vkprovider.standalone.manifests import ManifestError, Manifests, load


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    """vkprovider itself must not touch the disk from the event loop; the tests may."""
    with blockbuster_ctx("vkprovider") as watched:
        # Manifests are read before there is a loop.
        watched.functions["io.BufferedReader.read"].can_block_in("vkprovider/standalone/sources.py", "read_text")
        yield


@pytest.fixture(autouse=True)
def _logs_are_as_users_see_them() -> Iterator[None]:
    set_up_logging()
    yield
    structlog.reset_defaults()


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load texts as the files a.yaml, b.yaml and so on, relative to the present directory."""
    monkeypatch.chdir(tmp_path)

    def load_texts(*texts: str) -> Manifests:
        names = [f"{letter}.yaml" for letter in "abc"[: len(texts)]]
        for name, text in zip(names, texts, strict=True):
            Path(name).write_text(text)
        return load(names)

    return load_texts


@pytest.fixture
def refused(loaded: Load) -> Lines:
    def lines(*texts: str) -> list[str]:
        with pytest.raises(ManifestError) as caught:
            loaded(*texts)
        assert str(caught.value) == "\n".join(caught.value.lines)
        return list(caught.value.lines)

    return lines
