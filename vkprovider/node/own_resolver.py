"""Who resolves names for this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vkprovider.core.network_files import Resolver, parse_resolv_conf

RESOLV_CONF = Path("/etc/resolv.conf")


async def own_resolver() -> Resolver:
    """The machine's own resolver, which pods inherit. Raises OSError where there is none."""
    return parse_resolv_conf(await asyncio.to_thread(RESOLV_CONF.read_text, errors="replace"))
