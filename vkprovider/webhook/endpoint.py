"""What the API server asks the webhook, over HTTP: about what is written; and others whether it is ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web

from vkprovider.errors import SpecError, VkError

READY = "/readyz"
LARGEST_BODY = 8 << 20  # bytes; etcd holds objects of up to 1.5 MiB, and Go writes < and > in six
Review = Callable[[bytes], Awaitable[dict[str, Any]]]

log = structlog.get_logger()


def application(reviews: Mapping[str, Review], is_ready: Callable[[], bool]) -> web.Application:
    """``reviews`` give, by path, the AdmissionReview that answers one. What they raise lets nothing through: SpecError
    where the question is none, another VkError where it cannot be answered now.
    """

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if is_ready() else web.Response(status=503, text="not yet\n")

    made = web.Application(client_max_size=LARGEST_BODY)
    for path, review in reviews.items():
        made.router.add_post(path, _asking(review))
    made.router.add_get(READY, ready)
    return made


def _asking(review: Review) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def ask(request: web.Request) -> web.Response:
        try:
            answer = await review(await request.read())
        except SpecError as exc:
            return web.Response(status=400, text=f"{exc}\n")
        except VkError as exc:
            log.warning("a question cannot be answered now", path=request.path, error=str(exc))
            return web.Response(status=503, text=f"{exc}\n")
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    return ask
