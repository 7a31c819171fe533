"""What may be read of a node: health, numbers, pods and configuration (pkg/kubelet/server/server.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vkprovider.errors import EngineError
from vkprovider.model.usage import RunningContainer
from vkprovider.ports import ContainerEngine, PodIndex, UsageSource, VolumeUsages
from vkprovider.server.refusals import Refused
from vkprovider.server.summary import Disks, summary

Json = dict[str, Any]
Metrics = Mapping[str, Callable[[], Awaitable[bytes]]]
"""What is answered below ``/metrics``, by path."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ALWAYS_WELL = ("ping", "log")  # checks of whoever answers at all
POD_LIST = {"kind": "PodList", "apiVersion": "v1", "metadata": {}}


class Check(NamedTuple):
    """One part of the node's health. ``problem`` says what is wrong with it, "" where nothing is."""

    name: str
    problem: Callable[[], str]


class Numbers(NamedTuple):
    """Where a summary's numbers come from."""

    node: str
    usages: UsageSource
    volumes: VolumeUsages


class Reads:
    """``configuration`` is a v1beta1 KubeletConfiguration. Without ``numbers`` there is no summary."""

    def __init__(
        self,
        metrics: Metrics | None = None,
        numbers: Numbers | None = None,
        configuration: Mapping[str, Any] | None = None,
        checks: tuple[Check, ...] = (),
    ) -> None:
        self._metrics = metrics or {}
        self._numbers = numbers
        self._configuration = configuration or {}
        well = tuple(Check(name, lambda: "") for name in ALWAYS_WELL)
        self._checks = {check.name: check for check in (*well, *checks)}

    def add_numbers(self, router: web.UrlDispatcher) -> None:
        """What says nothing of anybody's secrets."""
        router.add_get("/healthz", self._health)
        for name in self._checks:
            router.add_get(f"/healthz/{name}", self._one_check)
        for path in self._metrics:
            router.add_get(path, self._page)
        if self._numbers is not None:
            router.add_get("/stats/summary", self._summary)

    def add_objects(self, router: web.UrlDispatcher, pods: PodIndex, engine: ContainerEngine) -> None:
        """The pods as they are known, and as they run; and the configuration."""

        async def known(_: web.Request) -> web.StreamResponse:
            return json_answer(pod_list(pods))

        async def running(_: web.Request) -> web.StreamResponse:
            try:
                return json_answer(running_pods(await engine.running()))
            except EngineError as exc:
                raise Refused(500, str(exc)) from exc

        async def configuration(_: web.Request) -> web.StreamResponse:
            return json_answer({"kubeletconfig": self._configuration})

        for path, handler in (("/pods", known), ("/runningpods", running), ("/configz", configuration)):
            router.add_get(path, handler)
            router.add_get(f"{path}/", handler)

    async def _health(self, request: web.Request) -> web.StreamResponse:
        """All checks: "ok", or what is wrong; each of them with ``?verbose`` (apiserver, server/healthz)."""
        problems = {name: check.problem() for name, check in self._checks.items()}
        lines = [f"[-]{name} failed: {why}" if why else f"[+]{name} ok" for name, why in problems.items()]
        if any(problems.values()):
            return web.Response(status=500, text="\n".join([*lines, "healthz check failed", ""]))
        return web.Response(
            text="\n".join([*lines, "healthz check passed", ""]) if "verbose" in request.query else "ok"
        )

    async def _one_check(self, request: web.Request) -> web.StreamResponse:
        if problem := self._checks[request.path.rpartition("/")[2]].problem():
            return web.Response(status=500, text=f"internal server error: {problem}\n")
        return web.Response(text="ok")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=await self._metrics[request.path](), headers={"Content-Type": METRICS_TYPE})

    async def _summary(self, request: web.Request) -> web.StreamResponse:
        assert self._numbers is not None
        node, usages, volumes = self._numbers
        try:
            disks = None
            if request.query.getall("only_cpu_and_memory", []) != ["true"]:
                disks = Disks(usage=await usages.disk_usage(), volumes=await volumes.volumes())
            usage = await usages.usage()
        except EngineError as exc:
            return web.Response(status=500, text=f"Internal Error: {exc}")
        return web.json_response(body=await asyncio.to_thread(lambda: encoded(summary(node, usage, disks))))


def json_answer(body: Json) -> web.Response:
    return web.json_response(body=encoded(body))


def encoded(body: Json) -> bytes:
    return msgspec.json.encode(body)


def pod_list(pods: PodIndex) -> Json:
    """The pods as the API server gave them, with the status that each has now."""
    return {**POD_LIST, "items": [_as_known(pod.raw, pods.status(pod.uid)) for pod in pods.all()]}


def running_pods(containers: tuple[RunningContainer, ...]) -> Json:
    """What runs, whatever is known of it (pkg/kubelet/container ToAPIPod)."""
    pods: dict[str, Json] = {}
    for each in sorted(containers, key=lambda each: each.created_at):
        identity = each.identity
        metadata = {"name": identity.pod_name, "namespace": identity.pod_namespace, "uid": identity.pod_uid}
        pod = pods.setdefault(identity.pod_uid, {"metadata": metadata, "spec": {"containers": []}, "status": {}})
        if not each.is_sandbox:
            container = {"name": identity.name, "image": identity.image or each.image, "resources": {}}
            pod["spec"]["containers"].append(container)
    return {**POD_LIST, "items": list(pods.values())}


def _as_known(raw: Mapping[str, Any], status: Mapping[str, Any]) -> Json:
    pod = {key: value for key, value in raw.items() if key not in ("kind", "apiVersion")}
    return {**pod, "status": status} if status else pod
