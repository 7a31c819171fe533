"""The composition root: the only module that knows all adapters, and the life of the process around them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from vkprovider.config import Settings, load_settings
from vkprovider.core.actions import Decision
from vkprovider.core.create import NodeFacts
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.errors import VkError
from vkprovider.model.pod import Pod
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.clock import SystemClock
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.log_setup import set_up_logging
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_worker import Surroundings
from vkprovider.node.sweep import sweep
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_writer import VolumeWriter
from vkprovider.ports import ObjectStore, PullProgress
from vkprovider.standalone.display import Display
from vkprovider.standalone.identity import identify
from vkprovider.standalone.log_follower import LogFollower
from vkprovider.standalone.manifests import ManifestError, Manifests, load
from vkprovider.standalone.objects import ManifestObjects
from vkprovider.standalone.objects_out import write_objects
from vkprovider.standalone.run_store import RunDirectory, RunStore
from vkprovider.standalone.runner import Runner

OWN_ERROR = 125
INTERRUPTED = {signal.SIGINT: 130, signal.SIGTERM: 143}


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of ``vkprovider run``."""

    files: tuple[str, ...]
    logs: bool = False
    output: str | None = None
    timeline: str = ""
    keep: bool = False
    forgive: str = "all"
    sandbox_image: str = ""
    state_dir: str = ""


def run(options: RunOptions) -> int:
    """Run manifests to their end; the exit code of the process."""
    set_up_logging(sys.stderr)
    try:
        manifests = load(options.files)
        settings = load_settings(
            os.environ,
            state_dir=options.state_dir,
            sandbox_image=options.sandbox_image,
            forgive=options.forgive,
        )
        return asyncio.run(_run(options, manifests, settings))
    except ManifestError as exc:
        return _complain(*exc.lines)
    except (VkError, OSError) as exc:
        return _complain(f"vkprovider: {exc}")


def down(state_dir: str) -> int:
    """Remove what interrupted and kept runs left; the exit code of the process."""
    set_up_logging(sys.stderr)
    try:
        settings = load_settings(os.environ, state_dir=state_dir)
        return asyncio.run(_down(settings))
    except (VkError, OSError) as exc:
        return _complain(f"vkprovider: {exc}")


def _complain(*lines: str) -> int:
    for line in lines:
        print(line, file=sys.stderr)
    return OWN_ERROR


# --- run ----------------------------------------------------------------------------------------------------------


async def _run(options: RunOptions, manifests: Manifests, settings: Settings) -> int:
    for warning in manifests.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    clock = SystemClock()
    directory = RunStore(settings.state_dir).begin(list(manifests.objects), clock.now())
    try:
        engine = await _connect(directory, settings)
    except VkError:
        if not FileCheckpoint(directory.path / "records").load_all():
            directory.remove()
        raise
    stream = sys.stderr if options.output else sys.stdout
    try:
        async with Display(stream, clock) as display:
            runner = Runner(directory, clock, display)
            followers = LogFollower(engine, display) if options.logs else None
            around = await _surround(engine, directory, settings, manifests.store, runner, display, followers)
            code = await _conduct(options, manifests, runner, around, display, followers)
            if options.timeline:
                await asyncio.to_thread(Path(options.timeline).write_text, display.svg(), encoding="utf-8")
    finally:
        await engine.close()
    if options.keep and runner.interrupted is None:
        directory.release()
    else:
        directory.remove()
    if options.output:
        write_objects(sys.stdout, runner.final, options.output)
    return code


async def _conduct(
    options: RunOptions,
    manifests: Manifests,
    runner: Runner,
    around: Surroundings,
    display: Display,
    followers: LogFollower | None,
) -> int:
    """From the first pod to the last."""
    directory = runner.directory
    async with _node(around) as dispatcher, _signals(runner, display):
        _resume(runner, dispatcher, directory, display)
        given = [
            identify(raw, directory.run_id, ordinal, directory.content.began_at)
            for ordinal, raw in enumerate((*manifests.jobs, *manifests.pods))
        ]
        runner.begin(dispatcher, given)
        await runner.until_over()
        runner.conclude()
        if followers is not None:
            await followers.aclose()
        if not options.keep or runner.interrupted is not None:
            await runner.clear()
        display.finish(runner.jobs())
    for sentence in runner.blocked():
        display.note(sentence)
    if runner.interrupted is not None:
        return INTERRUPTED[signal.Signals(runner.interrupted)]
    return OWN_ERROR if runner.blocked() else runner.exit_code()


def _resume(runner: Runner, dispatcher: Dispatcher, directory: RunDirectory, display: Display) -> None:
    saved = FileCheckpoint(directory.path / "records").load_all()
    if saved:
        display.note(f"taking over an interrupted run of the same manifests ({directory.run_id})")
    for checkpoint in saved.values():
        runner.resume(dispatcher, checkpoint.pod, checkpoint.record)


# --- down ---------------------------------------------------------------------------------------------------------


async def _down(settings: Settings) -> int:
    removed = 0
    for directory in RunStore(settings.state_dir).interrupted():
        engine = await _connect(directory, settings)
        try:
            async with Display(sys.stdout, SystemClock()) as display:
                display.note(f"removing run {directory.run_id}")
                runner = Runner(directory, SystemClock(), display)
                around = await _surround(engine, directory, settings, ManifestObjects(()), runner, display, None)
                async with _node(around) as dispatcher, _signals(runner, display):
                    for checkpoint in FileCheckpoint(directory.path / "records").load_all().values():
                        runner.resume(dispatcher, checkpoint.pod, checkpoint.record)
                    runner.stop(at_once=False)
                    await runner.clear()
                await sweep(engine, PodDirs(str(directory.path)))
        finally:
            await engine.close()
        directory.remove()
        removed += 1
    print(f"removed {removed} run{'' if removed == 1 else 's'}" if removed else "nothing to remove")
    return 0


# --- the parts ----------------------------------------------------------------------------------------------------


async def _connect(directory: RunDirectory, settings: Settings) -> DockerEngine:
    """The engine, answering. Raises EngineUnavailable with what to do about it."""
    return DockerEngine(directory.node, sandbox_image=settings.sandbox_image)


async def _surround(
    engine: DockerEngine,
    directory: RunDirectory,
    settings: Settings,
    objects: ObjectStore,
    runner: Runner,
    display: Display,
    followers: LogFollower | None,
) -> Surroundings:
    clock, info = SystemClock(), await engine.info()
    watcher = _Watchers(display, followers)
    node = NodeFacts(name=directory.node, memory=info.memory)
    dirs = PodDirs(str(directory.path))
    files = PodFiles(dirs, VolumeWriter(engine, dirs, clock), info.memory)
    checkpoint = await asyncio.to_thread(FileCheckpoint, directory.path / "records")
    return Surroundings(
        engine=engine,
        performer=Performer(engine, objects, files, node, clock, watcher),
        messages=TerminationMessages(engine, files.termination_message),
        settings=CoreSettings(node_name=node.name, host_ip=node.host_ip, forgive=settings.forgive),
        clock=clock,
        checkpoint=checkpoint,
        statuses=runner,
        events=display,
        watcher=watcher,
    )


@asynccontextmanager
async def _node(around: Surroundings) -> AsyncIterator[Dispatcher]:
    """The node at work. If its ears fail for good, so does everything: containers go on, the next start adopts them."""
    dispatcher = Dispatcher(around)
    async with asyncio.TaskGroup() as group:
        ears = group.create_task(dispatcher.run(), name="engine changes")
        try:
            yield dispatcher
        finally:
            ears.cancel()
            with suppress(asyncio.CancelledError):
                await ears


@asynccontextmanager
async def _signals(runner: Runner, display: Display) -> AsyncIterator[None]:
    """The first Ctrl-C stops all pods in order, the next kills them."""
    loop = asyncio.get_running_loop()

    def interrupt(number: int) -> None:
        if runner.interrupted is None:
            display.note("interrupted: stopping in order (apps, then sidecars); Ctrl-C again kills")
            runner.interrupt(number)
        else:
            display.note("interrupted again: killing")
            runner.stop(at_once=True)

    for number in INTERRUPTED:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield
    finally:
        for number in INTERRUPTED:
            loop.remove_signal_handler(number)


class _Watchers:
    """The display, and the followers of logs where they are wanted."""

    def __init__(self, display: Display, followers: LogFollower | None) -> None:
        self._display = display
        self._followers = followers

    def looked(self, view: PodView, decision: Decision) -> None:
        self._display.looked(view, decision)
        if self._followers is not None:
            self._followers.looked(view, decision)

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        self._display.pulling(pod, container, progress)
