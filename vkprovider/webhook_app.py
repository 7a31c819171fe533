"""``vkprovider webhook``: the composition root of an admission webhook on its own, and the life of its process."""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from vkprovider.config import BRINGS_CLUSTER, ConfigError
from vkprovider.errors import OWN_ERROR, VkError, each_error, in_words
from vkprovider.kube.client import ApiClient
from vkprovider.kube.node.machine import address_towards
from vkprovider.kube.webhook.settings import WebhookFlags, WebhookSettings, load_webhook_settings
from vkprovider.node.clock import SystemClock
from vkprovider.node.orders import Orders, unless
from vkprovider.webhook_parts import Webhook


def webhook(flags: WebhookFlags, kubeconfig: str, context: str = "") -> int:
    """Serve until told to stop; the exit code of the process. Raises ConfigError where flags cannot be used."""
    settings, code = load_webhook_settings(flags), 0
    try:
        asyncio.run(_live(settings, kubeconfig or os.environ.get("KUBECONFIG", ""), context))
    except* (VkError, OSError) as failed:
        for error in each_error(failed):
            print(f"vkprovider: {in_words(error)}", file=sys.stderr)
        code = OWN_ERROR
    return code


async def _live(settings: WebhookSettings, kubeconfig: str, context: str) -> None:
    orders, clock = Orders(), SystemClock()
    api = ApiClient(clock, kubeconfig, context)
    try:
        settings = await _with_address(settings, api)
        await unless(orders.stop, Webhook(api, settings, clock).run())
    except ImportError as exc:
        raise ConfigError(f"{exc}: {BRINGS_CLUSTER}") from exc
    finally:
        await api.aclose()


async def _with_address(settings: WebhookSettings, api: ApiClient) -> WebhookSettings:
    """The address that this machine reaches the API server from, where none was given."""
    url = await api.server()
    if settings.address or settings.service is not None:
        return settings
    return msgspec.structs.replace(settings, address=await address_towards(url))
