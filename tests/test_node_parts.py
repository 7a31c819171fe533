"""How a node takes its leave."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any, cast

from vkprovider.errors import ApiUnavailable
from vkprovider.node_parts import Parts


async def test_what_the_api_server_cannot_be_told_is_let_go_without_a_word() -> None:
    """Warnings are errors here: Python has one for each step that is prepared and not taken."""
    said: list[str] = []

    async def shut_down() -> None:
        raise ApiUnavailable("it is away")

    async def last_words() -> None:
        said.append("last words")

    parts: Any = SimpleNamespace(
        settings=SimpleNamespace(drain=False),
        reports=SimpleNamespace(registrar=SimpleNamespace(shut_down=shut_down)),
        pods=SimpleNamespace(dispatcher=SimpleNamespace(living=1)),
        _last_words=last_words,
    )
    await Parts.wind_up(cast(Parts, parts))
    gc.collect()
    assert said == []
