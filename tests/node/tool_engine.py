"""The part of an engine that volumes need: it remembers what it was asked for, and may refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vkprovider.errors import EngineError


class ToolEngine:
    node = "node-1"

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.volumes: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self.tools: list[tuple[list[str], str]] = []

    async def create_volume(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> None:
        if self.refuse:
            raise EngineError(self.refuse)
        self.volumes[name] = (dict(labels), dict(options))

    async def volume_directory(self, name: str) -> str:
        return self.volumes[name][1]["directory"]

    async def remove_volumes(self, labels: Mapping[str, str]) -> None:
        self.volumes = {n: v for n, v in self.volumes.items() if not labels.items() <= v[0].items()}

    async def run_tool(self, args: Sequence[str], directory: str) -> None:
        self.tools.append((list(args), directory))
