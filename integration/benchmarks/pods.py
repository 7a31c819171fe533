"""The pods of a benchmark: created through the API, and timed as the API shows them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from integration.cluster.nodes import on, shell
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.reflector import Changed, Reflector, Removed, Replaced
from vkprovider.kube.resources import PODS
from vkprovider.node.clock import SystemClock

NODE = "bench"
PATIENCE = 300  # seconds


class Pods:
    """The pods of the cluster, as the API server tells them, each with the time at which it did."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._numbers = itertools.count()
        self._seen: dict[str, Json] = {}
        self._more = asyncio.Event()
        self.first: dict[tuple[str, str], float] = {}  # when a pod was first seen to be something

    async def follow(self) -> None:
        async for update in Reflector(self._api, PODS.at("default"), SystemClock()).updates():
            now = SystemClock().now().timestamp()
            match update:
                case Changed(raw):
                    self._take(raw, now)
                case Removed(raw):
                    self._seen.pop(raw["metadata"]["name"], None)
                case Replaced(objects):
                    self._seen = {}
                    for raw in objects:
                        self._take(raw, now)
            self._more.set()

    def _take(self, raw: Json, now: float) -> None:
        self._seen[raw["metadata"]["name"]] = raw
        for what, holds in (("ready", _is_ready), ("over", _is_over)):
            if holds(raw):
                self.first.setdefault((raw["metadata"]["name"], what), now)

    async def create(self, count: int, script: str) -> tuple[str, ...]:
        names = tuple(f"bench-{next(self._numbers)}" for _ in range(count))
        spec = on(NODE, shell("app", script), terminationGracePeriodSeconds=0)
        await asyncio.gather(*(self._create(name, spec) for name in names))
        return names

    async def _create(self, name: str, spec: dict[str, Any]) -> None:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        await self._api.create(PODS.at("default"), body)

    async def remove(self, names: Sequence[str]) -> None:
        await asyncio.gather(*(self._api.delete(PODS.at("default", name)) for name in names))
        await self.until(lambda: not any(name in self._seen for name in names))

    def raw(self, name: str) -> Json:
        return self._seen[name]

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def until_all(self, names: Sequence[str], what: str) -> None:
        await self.until(lambda: all((name, what) in self.first for name in names))


def _is_ready(raw: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in raw["status"].get("conditions", ()))


def _is_over(raw: Json) -> bool:
    return raw["status"].get("phase") in ("Succeeded", "Failed")
