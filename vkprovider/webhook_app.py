"""``vkprovider webhook``: the composition root of an admission webhook on its own, and the life of its process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from vkprovider.config import ConfigError
from vkprovider.errors import VkError, each_error
from vkprovider.kube.client import ApiClient
from vkprovider.kube.machine import address_towards
from vkprovider.kube.webhook_settings import WebhookFlags, WebhookSettings, load_webhook_settings
from vkprovider.node.clock import SystemClock
from vkprovider.node.orders import Orders, unless
from vkprovider.webhook_parts import Webhook

OWN_ERROR = 125


def webhook(flags: WebhookFlags, kubeconfig: str) -> int:
    """Serve until told to stop; the exit code of the process."""
    code = 0
    try:
        asyncio.run(_live(load_webhook_settings(flags), kubeconfig, os.environ))
    except* (VkError, OSError) as failed:
        for error in each_error(failed):
            print(f"vkprovider: {error}", file=sys.stderr)
        code = OWN_ERROR
    return code


async def _live(settings: WebhookSettings, kubeconfig: str, environ: Mapping[str, str]) -> None:
    orders, clock = Orders(), SystemClock()
    api = ApiClient(clock, kubeconfig or environ.get("KUBECONFIG", ""))
    try:
        settings = await _with_address(settings, api)
        await unless(orders.stop, Webhook(api, settings, clock).run())
    except ImportError as exc:
        raise ConfigError(f"{exc}: pip install 'vkprovider[cluster]' brings it") from exc
    finally:
        await api.aclose()


async def _with_address(settings: WebhookSettings, api: ApiClient) -> WebhookSettings:
    """The address that this machine reaches the API server from, where none was given."""
    url = await api.server()
    if settings.address or settings.service is not None:
        return settings
    server = urlsplit(url)
    address = await address_towards(server.hostname or "", server.port or 443)
    return msgspec.structs.replace(settings, address=address)
