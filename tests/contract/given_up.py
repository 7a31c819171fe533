"""Runs a command in a container for half a second, as a user who may use the engine and is not root.

Arguments: the engine's URL, the container, the command. Prints the exit code that is reported. Everything is imported
before the rights are given up: the interpreter may be in root's home.
"""

from __future__ import annotations

import asyncio
import os
import sys

from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.model.refs import ContainerID


async def run(url: str, container_id: ContainerID, command: list[str]) -> None:
    engine = DockerEngine("given-up", url)
    print((await engine.exec(container_id, command, 0.5)).exit_code)
    await engine.close()


if __name__ == "__main__":
    socket = find_endpoint(sys.argv[1]).socket_path
    os.setgroups([os.stat(socket).st_gid])
    os.setgid(65534)
    os.setuid(65534)
    asyncio.run(run(sys.argv[1], ContainerID(sys.argv[2]), sys.argv[3:]))
