"""The kinds of objects that vkprovider brings into a cluster, where nobody else has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any

import structlog
import yaml

from vkprovider.errors import ApiConflict, ApiNotFound
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import ApiClient
from vkprovider.kube.insistence import insist
from vkprovider.kube.resources import Resource
from vkprovider.ports import WaitingClock

DEFINITIONS = Resource("customresourcedefinitions", "apiextensions.k8s.io")
log = structlog.get_logger()


async def define_sidecar_sets(api: ApiClient, clock: WaitingClock) -> None:
    """Create the definitions of SidecarSets and their bindings where they are absent.

    Those that are there are left alone, whoever's they are. Where that may not be seen it is asked until it is granted.
    """
    definitions = await asyncio.to_thread(_definitions)
    async with asyncio.TaskGroup() as group:
        for definition in definitions:
            backoff = BackOff(f"definition of {definition['metadata']['name']}", clock)
            group.create_task(insist(partial(_define, api, definition), backoff))


def _definitions() -> list[dict[str, Any]]:
    folder = files("vkprovider.sidecarset") / "crds"
    return [yaml.safe_load(file.read_text()) for file in folder.iterdir()]


async def _define(api: ApiClient, definition: Mapping[str, Any]) -> None:
    name = definition["metadata"]["name"]
    try:
        await api.get(DEFINITIONS.at(name=name))
    except ApiNotFound:
        try:
            await api.create(DEFINITIONS.at(), definition)
        except ApiConflict:  # somebody else has done so
            return
        log.info("a kind of objects is defined", definition=name)
