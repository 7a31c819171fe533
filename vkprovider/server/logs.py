"""containerLogs: what a container has said, and says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from vkprovider.model.refs import ContainerID
from vkprovider.ports import ContainerEngine
from vkprovider.server.queries import LogOptions


async def log_bytes(engine: ContainerEngine, container_id: ContainerID, options: LogOptions) -> AsyncIterator[bytes]:
    """The body of the answer, piece by piece (cri-client/pkg/logs/logs.go)."""
    lines = engine.logs(container_id, follow=options.follow, tail=options.tail, since=options.since)
    left, begins = options.limit, True
    async with aclosing(lines):  # type: ignore[type-var]
        async for line in lines:
            if line.stream not in options.streams or (options.since is not None and line.time < options.since):
                continue
            data = f"{line.stamp} ".encode() + line.data if options.timestamps and begins else line.data
            begins = line.data.endswith(b"\n")
            yield data[:left]
            if left is not None:
                left -= len(data)
                if left <= 0:
                    return
