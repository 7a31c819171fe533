"""The engine's process, where it is one of this machine's and this process may look at it."""

from __future__ import annotations

import os
import socket
import struct

_PEER = struct.Struct("3i")  # pid, uid, gid


def process_id(socket_path: str) -> int:
    """The process that listens on the engine's socket; under socket activation that is init. 0 if it cannot be seen.

    Raises OSError.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(socket_path)
        pid: int = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
    return pid


def shares_mounts(socket_path: str) -> bool:
    """Whether the engine sees what this process mounts: both have one mount namespace. False if that cannot be told."""
    try:
        theirs = os.readlink(f"/proc/{process_id(socket_path)}/ns/mnt")
    except OSError:
        return False
    return theirs == os.readlink("/proc/self/ns/mnt")
