"""Runs the probes of one pod: a task per container instance and kind of probe, sleeping between the attempts.

It measures and publishes; what follows from a verdict, such as a restart, is decided in ``core``. The pod worker owns
the prober and tells it after each decision, by ``sync``, which probes should be running.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from vkprovider.core.actions import ProbeFailed, ProbeTarget
from vkprovider.core.probing import Attempt, Outcome, ProbeState, advance, begin, complaint, verdicts
from vkprovider.core.view import Verdicts
from vkprovider.core.waiting import go_duration
from vkprovider.errors import VkError
from vkprovider.model.probe import HTTPGetAction
from vkprovider.model.refs import ContainerID
from vkprovider.node.grpc_health import check_health
from vkprovider.node.handlers import NoAnswerError, http_get, tcp_connect
from vkprovider.ports import ContainerEngine, WaitingClock

MAX_TRIES = 3  # of an attempt that breaks (pkg/kubelet/prober/prober.go maxProbeRetries)
MAX_BODY = 10 * 1024  # bytes of a response that are read


@dataclass(slots=True)
class _Worker:
    target: ProbeTarget
    state: ProbeState
    task: asyncio.Task[None] | None = None


class Prober:
    """The probes of one pod. ``on_attempt`` hears of each attempt, ``on_news`` of each that failed, and ``on_result``,
    after them, is called whenever a verdict has become another; none may block or raise.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        clock: WaitingClock,
        on_result: Callable[[], None],
        on_news: Callable[[ProbeFailed], None],
        on_attempt: Callable[[ProbeTarget, Outcome], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._on_result = on_result
        self._on_news = on_news
        self._on_attempt = on_attempt
        self._workers: dict[tuple[ContainerID, str], _Worker] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def verdicts(self) -> Mapping[ContainerID, Verdicts]:
        """What is established of each container instance that is probed, or was until its probes were stopped.

        A verdict stands until the container has a new instance: that a container has started stays true when the
        startup probe is no longer asked for.
        """
        found: dict[ContainerID, dict[str, bool | None]] = {}
        for (container_id, kind), worker in self._workers.items():
            found.setdefault(container_id, {})[kind] = worker.state.verdict
        return {container_id: verdicts(by_kind) for container_id, by_kind in found.items()}

    def sync(self, targets: Sequence[ProbeTarget]) -> None:
        """Make exactly these probes run. One that has been decided for good is left at rest."""
        wanted = {(target.container_id, target.kind): target for target in targets}
        for key, worker in self._workers.items():
            if key not in wanted and worker.task is not None:
                worker.task.cancel()
                worker.task = None
        self._forget_old_instances(targets)
        for key, target in wanted.items():
            worker = self._workers.setdefault(key, _Worker(target, begin(target.kind)))
            worker.target = target
            if worker.task is None and not worker.state.held:
                worker.task = asyncio.create_task(self._run(worker), name=f"{target.kind} probe of {target.container}")
                self._tasks.add(worker.task)
                worker.task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Stop all probes and wait until they have stopped. The verdicts stay."""
        self.sync(())
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _forget_old_instances(self, targets: Sequence[ProbeTarget]) -> None:
        probed = {target.container for target in targets}
        present = {target.container_id for target in targets}
        for (container_id, kind), worker in list(self._workers.items()):
            if worker.target.container in probed and container_id not in present:
                del self._workers[container_id, kind]

    async def _run(self, worker: _Worker) -> None:
        target = worker.target
        uptime = (self._clock.now() - target.started_at).total_seconds()
        await self._clock.sleep(target.probe.initial_delay_seconds - uptime)
        due = self._clock.monotonic()
        while True:
            self._take(worker, await self._attempt(worker.target))
            if worker.state.held:
                return
            # As a Go ticker: an attempt longer than the period is followed at once, by one attempt and not by several.
            due = max(due + max(1, target.probe.period_seconds), self._clock.monotonic())
            await self._clock.sleep(due - self._clock.monotonic())

    async def _attempt(self, target: ProbeTarget) -> Attempt:
        attempt = await run_probe(self._engine, target)
        for _ in range(MAX_TRIES - 1):
            if attempt.outcome is not Outcome.ERROR:
                break
            attempt = await run_probe(self._engine, target)
        return attempt

    def _take(self, worker: _Worker, attempt: Attempt) -> None:
        worker.state, published = advance(worker.state, worker.target.probe, attempt.outcome)
        self._on_attempt(worker.target, attempt.outcome)
        news = complaint(worker.target, attempt)
        if news is not None:
            self._on_news(news)
        if published:
            self._on_result()


async def run_probe(engine: ContainerEngine, target: ProbeTarget) -> Attempt:
    """Probe once. Whatever goes wrong is an outcome, too."""
    probe = target.probe
    try:
        if probe.exec is not None:
            return await _exec(engine, target, probe.exec.command)
        if probe.http_get is not None:
            return await _http_get(target, probe.http_get)
        if probe.tcp_socket is not None:
            await tcp_connect(probe.tcp_socket, target.pod_ip, target.ports, _timeout(target))
            return Attempt(Outcome.SUCCESS)
        if probe.grpc is not None:
            return Attempt(Outcome.SUCCESS, await check_health(probe.grpc, target.pod_ip, _timeout(target)))
        return Attempt(Outcome.ERROR, f"missing probe handler for {target.container}")
    except NoAnswerError as exc:
        return Attempt(Outcome.FAILURE, str(exc))
    except VkError as exc:
        return Attempt(Outcome.ERROR, str(exc))
    except Exception as exc:  # a probe must not end for good because one attempt met the unforeseen (worker.go doProbe)
        return Attempt(Outcome.ERROR, f"{type(exc).__name__}: {exc}")


def _timeout(target: ProbeTarget) -> int:
    return max(1, target.probe.timeout_seconds)


async def _exec(engine: ContainerEngine, target: ProbeTarget, command: Sequence[str]) -> Attempt:
    timeout = _timeout(target)
    result = await engine.exec(target.container_id, command, timeout)
    if result.exit_code is None:
        words = json.dumps(" ".join(command), ensure_ascii=False)
        return Attempt(Outcome.FAILURE, f"command timed out: {words} timed out after {go_duration(timeout)}")
    outcome = Outcome.SUCCESS if result.exit_code == 0 else Outcome.FAILURE
    return Attempt(outcome, result.output.decode(errors="replace"))


async def _http_get(target: ProbeTarget, action: HTTPGetAction) -> Attempt:
    """Judge a response as pkg/probe/http/http.go does. A failure's text leaves the body out: it may hold secrets."""
    deadline = asyncio.get_running_loop().time() + _timeout(target)
    async with http_get(action, target.pod_ip, target.ports, "probe", deadline) as response:
        try:
            async with asyncio.timeout_at(deadline):
                body = await _body(response)
        except TimeoutError:
            why = "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
            return Attempt(Outcome.ERROR, why)
        except (aiohttp.ClientError, OSError):
            return Attempt(Outcome.ERROR, "unexpected EOF")
    if not 200 <= response.status < 400:
        return Attempt(Outcome.FAILURE, f"HTTP probe failed with statuscode: {response.status}")
    if response.status >= 300:
        return Attempt(Outcome.WARNING, f"Probe terminated redirects, Response body: {body}")
    return Attempt(Outcome.SUCCESS, body)


async def _body(response: aiohttp.ClientResponse) -> str:
    body = b""
    while len(body) < MAX_BODY and (chunk := await response.content.read(MAX_BODY - len(body))):
        body += chunk
    return body.decode(errors="replace")
