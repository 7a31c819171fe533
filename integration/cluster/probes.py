"""What the start of a server needs to know of the network: which ports are free, and whether a URL answers."""

import random
import socket
import ssl
from contextlib import suppress
from http.client import HTTPException
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

ANYONE = ssl.create_default_context()
ANYONE.check_hostname = False
ANYONE.verify_mode = ssl.CERT_NONE


def answers(url: str, trust: ssl.SSLContext = ANYONE) -> bool:
    """Whether a server that `trust` accepts answers a GET with a success, asked without any proxy."""
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=trust))
    with suppress(OSError, HTTPException), opener.open(url, timeout=5):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Ports where nobody listens on any address.

    They lie below those that systems give to outgoing connections, so that none of these takes a port while its
    server restarts, and below those of NodePort Services.

    Raises OSError.
    """
    ports: list[int] = []
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"fewer than {count} ports are free")
