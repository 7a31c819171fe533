"""A webhook configuration, kept as it is to be, by whoever serves the webhook."""

from __future__ import annotations

from typing import Any

import structlog

from vkprovider.errors import ApiNotFound
from vkprovider.kube.client import MERGE, ApiClient, Json
from vkprovider.kube.resources import Resource
from vkprovider.sidecarset.webhook_configuration import NAME

GROUP = "admissionregistration.k8s.io"
MUTATING = Resource("mutatingwebhookconfigurations", GROUP)
VALIDATING = Resource("validatingwebhookconfigurations", GROUP)
_KINDS = {MUTATING: "MutatingWebhookConfiguration", VALIDATING: "ValidatingWebhookConfiguration"}
log = structlog.get_logger()


class KeptConfiguration:
    """The one of our name, of either kind. ``stands_by`` is whether another process is asked."""

    def __init__(self, api: ApiClient, kind: Resource) -> None:
        self._api = api
        self._kind = kind
        self._written: list[Json] = []
        self.stands_by = False

    async def keep(self, wanted: list[Json], *, steps_in: bool = False) -> bool:
        """Have these webhooks in it; False where another process has them asked elsewhere: the last one to start is
        asked, or one that ``steps_in``. Raises ApiError, ApiConflict where somebody was faster: then come again.
        """
        found = await self._find()
        if found is not None and self._is_taken_over(found) and not steps_in:
            if not self.stands_by:
                log.warning("another process serves the webhook from now on", kind=_KINDS[self._kind], **_client(found))
            self.stands_by = True
            return False
        if found is None:
            await self._api.create(self._kind.at(), self._new(wanted))
        elif (found.get("webhooks") or []) != wanted:
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            await self._api.patch(self._kind.at(name=NAME), {"metadata": version, "webhooks": wanted}, MERGE)
        self._written, self.stands_by = wanted, False
        return True

    async def _find(self) -> Json | None:
        try:
            return await self._api.get(self._kind.at(name=NAME))
        except ApiNotFound:
            return None

    def _is_taken_over(self, found: Json) -> bool:
        """Whether somebody who is reached elsewhere has written it since we did."""
        there = _client(found)
        return bool(self._written and there) and there != _client({"webhooks": self._written})

    def _new(self, wanted: list[Json]) -> Json:
        version = f"{self._kind.group}/{self._kind.version}"
        return {"apiVersion": version, "kind": _KINDS[self._kind], "metadata": {"name": NAME}, "webhooks": wanted}


def _client(configuration: Json) -> dict[str, Any]:
    """Where a configuration leads to."""
    for webhook in configuration.get("webhooks") or ():
        return {key: value for key, value in webhook["clientConfig"].items() if key != "caBundle"}
    return {}
