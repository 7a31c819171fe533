"""Copying output to log files: from the engine's own files by a process of ours, or as the engine tells it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from functools import partial

import msgspec
import structlog

from vkprovider.engine.log_copier import Report
from vkprovider.engine.log_copy import Order
from vkprovider.engine.log_relay import relay
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.streams import ended, logs
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineError
from vkprovider.model.engine import LogTarget
from vkprovider.model.refs import ContainerID

PROGRAM = (sys.executable, "-P", "-m", "vkprovider.engine.log_copier")
_REPORT = msgspec.json.Decoder(Report)
log = structlog.get_logger()


class LogCopies:
    """The process is there from the first copy on."""

    def __init__(self, unary: Unary, streaming: Streaming) -> None:
        self._unary = unary
        self._streaming = streaming
        self._copier: _Copier | None = None
        self._starting = asyncio.Lock()

    async def copy(self, container_id: ContainerID, target: LogTarget) -> None:
        """As ``ContainerEngine.copy_log``."""
        inspected = await self._unary.call("GET", f"/containers/{container_id}/json")
        source = inspected.get("LogPath") or ""  # of drivers other than json-file
        report = await self._copied(container_id, source, target) if source else Report(container_id, unreadable=True)
        if report.unreadable:
            try:
                said = partial(logs, self._unary, self._streaming, container_id, follow=True)
                await relay(lambda since: said(since=since), target)
            except OSError as exc:
                raise EngineError(f"the log file cannot be written: {exc}") from exc
        elif report.error:
            raise EngineError(f"the log cannot be copied: {report.error}")

    async def close(self) -> None:
        if self._copier is not None:
            await self._copier.close()

    async def _copied(self, container_id: ContainerID, source: str, target: LogTarget) -> Report:
        copier = await self._running()
        order = Order(container_id, source, target.path, target.note, target.limits)
        report = copier.begin(order)
        end = asyncio.create_task(ended(self._streaming, container_id))
        try:
            await asyncio.wait((end, report), return_when=asyncio.FIRST_COMPLETED)
            if not report.done():
                end.result()
                copier.tell(Order(container_id, ended=True))
            return await report
        finally:
            end.cancel()
            copier.drop(container_id)

    async def _running(self) -> _Copier:
        async with self._starting:
            if self._copier is None or self._copier.over:
                # In a session of its own: Ctrl-C at a terminal is for the node, which ends it in its own time.
                process = await asyncio.create_subprocess_exec(
                    *PROGRAM, stdin=PIPE, stdout=PIPE, start_new_session=True
                )
                self._copier = _Copier(process)
        return self._copier


class _Copier:
    """The process, and what it was asked for."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._asked: dict[str, asyncio.Future[Report]] = {}
        self._listening = asyncio.create_task(self._listen())

    @property
    def over(self) -> bool:
        return self._listening.done()

    def begin(self, order: Order) -> asyncio.Future[Report]:
        """What becomes of the order. Raises EngineError, once awaited, where the process ends before."""
        asked = self._asked[order.id] = asyncio.get_running_loop().create_future()
        self.tell(order)
        return asked

    def drop(self, name: str) -> None:
        if self._asked.pop(name, None) is not None:
            self.tell(Order(name, dropped=True))

    def tell(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    async def close(self) -> None:
        """Let it end: its input does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            report = _REPORT.decode(line)
            if report.lost:
                log.warning("output of a container may have been thrown away before it was copied", container=report.id)
            elif report.id in self._asked:
                self._asked.pop(report.id).set_result(report)
        code = await self._process.wait()
        for asked in self._asked.values():
            asked.set_exception(EngineError(f"the process that copies logs has ended with code {code}"))
        self._asked.clear()
