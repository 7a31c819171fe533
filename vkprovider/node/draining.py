"""Ending all pods of a node that goes, and knowing when they have ended."""

from __future__ import annotations

import asyncio

from vkprovider.core.actions import Decision
from vkprovider.core.phase import OVER
from vkprovider.core.view import Eviction, PodView
from vkprovider.model.engine import PullProgress
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.dispatcher import Dispatcher


class Draining:
    """One of a node's ``Watcher``s; it does not look before ``run``."""

    def __init__(self) -> None:
        self._ended: set[PodUID] | None = None
        self._moved = asyncio.Event()

    async def run(self, dispatcher: Dispatcher, why: Eviction) -> None:
        """End every pod in its order; return when none has anything left that runs or is being done."""
        self._ended = set()
        dispatcher.evict(why)  # which makes every worker look again
        while not dispatcher.workers.keys() <= self._ended:
            await self._moved.wait()
            self._moved.clear()

    def looked(self, view: PodView, decision: Decision) -> None:
        if self._ended is None:
            return
        over = decision.status["phase"] in OVER and not (decision.actions or view.in_flight)
        if over or decision.gone:
            self._ended.add(view.pod.uid)
            self._moved.set()

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        """Of no interest here."""
