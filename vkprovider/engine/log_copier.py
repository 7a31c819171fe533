"""The program that copies logs: ``python -m vkprovider.engine.log_copier``, one process for all containers of a node.

It is a process of its own because there is no end to what containers may say, and the node has better things to do. It
reads orders and writes reports, each a line of JSON, and ends with its input: it never outlives who started it.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from contextlib import suppress

import msgspec

from vkprovider.engine.descriptor_limit import raise_descriptor_limit
from vkprovider.engine.log_copy import LogCopy, Order
from vkprovider.engine.log_file import ahead
from vkprovider.wire.lines import LineSplitter
from vkprovider.wire.pod_log import CriFormat

PAUSE = 0.1  # seconds between two looks at files
_ORDER = msgspec.json.Decoder(Order)


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an order. ``unreadable`` where the engine's file is not to be had; ``lost`` is told before the
    end, and says that the engine may have thrown away something that was not copied yet.
    """

    id: str
    error: str = ""
    unreadable: bool = False
    lost: bool = False


class Copier:
    """``orders`` and ``reports`` are descriptors of files."""

    def __init__(self, orders: int, reports: int) -> None:
        self._orders = orders
        self._reports = reports
        self._lines = LineSplitter()
        self._style = CriFormat(ahead)
        self._copies: dict[str, LogCopy] = {}
        self._rounds = 0
        self._busy = False  # in the last round

    def run(self) -> None:
        """Work until there are no more orders."""
        threading.Thread(target=self._look_out, daemon=True).start()
        while self._hear(0 if self._busy else PAUSE):
            busy = False
            for name in tuple(self._copies):
                busy |= self._step(name)
            self._busy = busy
            self._rounds += 1

    def _look_out(self) -> None:
        """Get hold of what may be rotated away before its turn comes: a write may take long, and others' turns too."""
        while True:
            begun = self._rounds
            time.sleep(PAUSE)
            if self._rounds != begun and not self._busy:  # all have had their turn, and had nothing
                continue
            for copy in tuple(self._copies.values()):
                with suppress(OSError):  # its turn will show
                    copy.look()

    def _hear(self, seconds: float) -> bool:
        """Follow the orders that have come; False at their end."""
        if not select.select([self._orders], [], [], seconds if self._copies else None)[0]:
            return True
        data = os.read(self._orders, 1 << 16)
        for line in self._lines.feed(data):
            self._follow(_ORDER.decode(line))
        return bool(data)

    def _follow(self, order: Order) -> None:
        if order.dropped:
            self._end(order.id)
        elif order.ended:
            if order.id in self._copies:
                self._copies[order.id].ended = True
        else:
            try:
                self._copies[order.id] = LogCopy(order, self._style)
            except OSError as exc:
                self._tell(Report(order.id, str(exc), unreadable=exc.filename == order.source))

    def _step(self, name: str) -> bool:
        """Copy a piece; whether there was one."""
        copy = self._copies[name]
        try:
            goes_on = copy.step()
            if copy.missed():
                self._tell(Report(name, lost=True))
            if not goes_on and copy.ended:
                copy.finish()
                self._end(name)
                self._tell(Report(name))
        except OSError as exc:
            self._end(name)
            self._tell(Report(name, str(exc)))
            return False
        return goes_on

    def _end(self, name: str) -> None:
        copy = self._copies.pop(name, None)
        if copy is not None:
            copy.close()

    def _tell(self, report: Report) -> None:
        os.write(self._reports, msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    raise_descriptor_limit()
    Copier(sys.stdin.fileno(), sys.stdout.fileno()).run()
