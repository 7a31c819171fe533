"""``vkprovider run`` and ``down``: the composition root of a node without a cluster, and the life of its process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from vkprovider.config import PROFILES, ConfigError, Settings, load_settings
from vkprovider.core.create import NodeFacts
from vkprovider.core.network_files import Dns
from vkprovider.core.projections import NodeShare
from vkprovider.core.view import CoreSettings
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import NO_ENGINE
from vkprovider.errors import OWN_ERROR, EngineUnavailable, VkError, in_words
from vkprovider.model.engine import EngineInfo
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.clock import SystemClock
from vkprovider.node.disk_limits import DiskLimits
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.log_dirs import LogDirs
from vkprovider.node.log_setup import set_up_logging
from vkprovider.node.own_resolver import own_resolver
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_logs import PodLogs
from vkprovider.node.pod_uses import PodUses
from vkprovider.node.pod_worker import Surroundings
from vkprovider.node.pulling import Puller
from vkprovider.node.secret_memory import ON_DISK, close_memory, memory_of
from vkprovider.node.state_directory import state_kept_in
from vkprovider.node.sweep import sweep
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_writer import VolumeWriter
from vkprovider.node.watchers import Watchers
from vkprovider.ports import ObjectStore
from vkprovider.standalone.display import Display
from vkprovider.standalone.identity import identify
from vkprovider.standalone.log_follower import LogFollower
from vkprovider.standalone.manifests import ManifestError, Manifests, load
from vkprovider.standalone.objects import ManifestObjects
from vkprovider.standalone.objects_out import write_objects
from vkprovider.standalone.run_store import RunDirectory, RunStore
from vkprovider.standalone.runner import Runner

log = structlog.get_logger()

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


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
    verbose: bool = False


def run(options: RunOptions) -> int:
    """Run manifests to their end; the exit code of the process. Raises ConfigError where options cannot be used."""
    set_up_logging(logging.INFO if options.verbose else logging.WARNING)
    settings = load_settings(
        os.environ,
        state_dir=options.state_dir,
        sandbox_image=options.sandbox_image,
        forgive=options.forgive,
    )
    pictures = Path(options.timeline).parent
    if not pictures.is_dir():
        raise ConfigError(f"--timeline {options.timeline}: there is no directory {pictures}")
    try:
        manifests = load(options.files)
        for warning in manifests.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        return asyncio.run(_run(options, manifests, settings))
    except ManifestError as exc:
        return _complain(*exc.lines)
    except EngineUnavailable as exc:
        return _complain(f"vkprovider: {exc}", NO_ENGINE)
    except (VkError, OSError) as exc:
        return _complain(f"vkprovider: {in_words(exc)}")


def down(state_dir: str) -> int:
    """Remove what interrupted and kept runs left; the exit code of the process. Raises ConfigError."""
    set_up_logging()
    settings = load_settings(os.environ, state_dir=state_dir)
    try:
        return asyncio.run(_down(settings))
    except EngineUnavailable as exc:
        return _complain(f"vkprovider: {exc}", NO_ENGINE)
    except (VkError, OSError) as exc:
        return _complain(f"vkprovider: {in_words(exc)}")


def _complain(*lines: str) -> int:
    for line in lines:
        print(line, file=sys.stderr)
    return OWN_ERROR


async def _run(options: RunOptions, manifests: Manifests, settings: Settings) -> int:
    clock = SystemClock()
    with state_kept_in(settings.state_dir):
        directory = RunStore(settings.state_dir).begin(list(manifests.objects), clock.now())
    async with Display(sys.stderr if options.output else sys.stdout, clock) as display:
        session = _Session(directory, settings, display, manifests.store)
        async with session.engine_at_hand() as at_hand:
            if await session.runner.recall():
                kept = await _tidy(session, at_hand.engine)
            else:
                follower = LogFollower(at_hand.engine, display) if options.logs else None
                async with session.node(at_hand, follower) as dispatcher:
                    kept = await _conduct(session, manifests, options, dispatcher, follower)
    if kept:
        directory.release()
    else:
        directory.remove()
    for number in EXIT_CODES:  # whoever is to take the picture or the objects may be slow
        asyncio.get_running_loop().remove_signal_handler(number)
    written = True
    if options.timeline:
        written = _written(f"--timeline {options.timeline}", Path(options.timeline).write_text, display.svg(), "utf-8")
    if options.output:
        objects = (sys.stdout, session.runner.final, options.output)
        written = _written("standard output", write_objects, *objects) and written
    code = _exit_code(session.runner)
    return code if written else code or OWN_ERROR


def _written(where: str, write: Callable[..., object], *what: Any) -> bool:
    """Whether that could be done. By now the run is over and forgotten, whatever becomes of what it leaves."""
    try:
        write(*what)
    except BrokenPipeError:  # a reader that has seen enough
        return True
    except OSError as exc:
        _complain(f"vkprovider: {where}: {exc.strerror}")
        return False
    return True


async def _conduct(
    session: _Session,
    manifests: Manifests,
    options: RunOptions,
    dispatcher: Dispatcher,
    follower: LogFollower | None,
) -> bool:
    """From the first pod to the last; True if dead containers are left for inspection."""
    runner, directory = session.runner, session.directory
    if session.resume(dispatcher):
        session.display.note(f"taking over an interrupted run of the same manifests ({directory.run_id})")
    begun = directory.content.began_at
    given = enumerate((*manifests.jobs, *manifests.pods))
    objects = [identify(raw, directory.run_id, number, begun) for number, raw in given]
    await runner.begin(dispatcher, objects, manifests.sidecars)
    await runner.until_over()
    kept = options.keep and runner.interrupted is None
    await runner.conclude(keep=kept)
    if follower is not None:
        await follower.aclose()
    if not kept:
        await runner.clear()
    session.display.finish(runner.jobs())
    for sentence in runner.blocked():
        session.display.note(sentence)
    return kept


async def _tidy(session: _Session, engine: DockerEngine) -> bool:
    """Remove what a run has left that was over when its process was killed; nothing is kept."""
    session.display.note(f"an interrupted run of the same manifests ({session.directory.run_id}) was over: cleaning up")
    await engine.sweep_tools()
    await sweep(engine, session.dirs)
    session.display.finish(raw for raw in session.runner.final if raw["kind"] == "Job")
    return False


def _exit_code(runner: Runner) -> int:
    if runner.interrupted is not None:
        return EXIT_CODES[signal.Signals(runner.interrupted)]
    return OWN_ERROR if runner.blocked() else runner.exit_code()


async def _down(settings: Settings) -> int:
    removed = 0
    for directory in RunStore(settings.state_dir).interrupted():
        async with Display(sys.stdout, SystemClock()) as display:
            display.note(f"removing run {directory.run_id}")
            session = _Session(directory, settings, display, ManifestObjects(()))
            async with session.engine_at_hand() as at_hand:
                async with session.node(at_hand, None) as dispatcher:
                    session.resume(dispatcher)
                    session.runner.stop(at_once=False)
                    await session.runner.clear()
                await at_hand.engine.sweep_tools()
                await sweep(at_hand.engine, session.dirs)
        directory.remove()
        removed += 1
    print(f"removed {removed} run{'' if removed == 1 else 's'}" if removed else "nothing to remove")
    return 0


class _AtHand(NamedTuple):
    """An engine that answers, and what it said of itself."""

    engine: DockerEngine
    info: EngineInfo


class _Session:
    """One run: its directory, and a node of its own on an engine."""

    def __init__(self, directory: RunDirectory, settings: Settings, display: Display, objects: ObjectStore) -> None:
        self.directory = directory
        self.display = display
        self.clock = SystemClock()
        self.runner = Runner(directory, self.clock, display)
        self.dirs = PodDirs(str(directory.path))
        self._settings = settings
        self._objects = objects
        self._checkpoint = FileCheckpoint(directory.path / "records")

    @asynccontextmanager
    async def engine_at_hand(self) -> AsyncIterator[_AtHand]:
        """The engine; without one, or with Ctrl-C before there is one, the run leaves no trace, unless there are pods
        of an earlier process to care for.

        Raises EngineUnavailable.
        """
        try:
            engine = DockerEngine(self.directory.node, sandbox_image=self._settings.sandbox_image)
            info = await engine.info()
            self.dirs.memory = await asyncio.to_thread(memory_of, self.directory.path, info)
            for limitation in (*engine.limitations, *(() if self.dirs.memory else (ON_DISK,))):
                log.info(limitation)
        except (VkError, asyncio.CancelledError):
            if not self._checkpoint.load_all():
                self.directory.remove()
            raise
        try:
            yield _AtHand(engine, info)
        finally:
            await engine.close()
            await close_memory(self.dirs.memory)

    @asynccontextmanager
    async def node(self, at_hand: _AtHand, follower: LogFollower | None) -> AsyncIterator[Dispatcher]:
        """The node at work, with Ctrl-C at hand.

        If its ears fail for good, so does the process: the containers go on, and the next start adopts them.
        """
        engine = at_hand.engine
        logs = PodLogs(engine, LogDirs(self.dirs), self.clock)
        watcher = Watchers(self.display, logs, *(() if follower is None else (follower,)))
        dispatcher = Dispatcher(await self._surroundings(at_hand, watcher))
        async with asyncio.TaskGroup() as group:
            ears = group.create_task(dispatcher.run(), name="engine changes")
            uses = PodUses(engine, engine.usages(str(self.directory.path), self.clock), self.dirs)
            limits = group.create_task(DiskLimits(dispatcher.workers, self.dirs, self.display, self.clock, uses).run())
            log_files = group.create_task(logs.run())
            try:
                with self._interruptible():
                    yield dispatcher
            finally:
                limits.cancel()
                log_files.cancel()
                ears.cancel()
                with suppress(asyncio.CancelledError):
                    await ears

    def resume(self, dispatcher: Dispatcher) -> bool:
        """Take on the pods that an earlier process left; False if there are none."""
        saved = self._checkpoint.load_all()
        for checkpoint in saved.values():
            self.runner.resume(dispatcher, checkpoint.pod, checkpoint.record)
        return bool(saved)

    async def _surroundings(self, at_hand: _AtHand, watcher: Watchers) -> Surroundings:
        engine, info = at_hand
        dns = Dns(node=await own_resolver())
        allocatable = {"cpu": str(info.cpus), "memory": str(info.memory)}
        node = NodeFacts(
            name=self.directory.node,
            memory=info.memory,
            dns=dns,
            enforced=info.security,
            withheld=info.withheld,
            recursive_read_only=info.recursive_read_only,
            allocatable=allocatable,
            limits_pods=info.pod_limits,
        )
        writer = VolumeWriter(engine, self.dirs, self.clock)
        profiles = self._settings.state_dir / PROFILES
        share = NodeShare(memory=info.memory, allocatable=allocatable)
        files = PodFiles(self.dirs, writer, lambda: share, dns=dns, profiles=profiles)
        puller = Puller(engine, self._objects, self.clock, watcher)
        return Surroundings(
            engine=engine,
            performer=Performer(engine, self._objects, files, node, self.clock, puller),
            messages=TerminationMessages(engine, files.termination_message),
            settings=CoreSettings(
                node_name=node.name,
                host_ip=node.host_ip,
                forgive=self._settings.forgive,
                recursive_read_only=node.recursive_read_only,
            ),
            clock=self.clock,
            checkpoint=self._checkpoint,
            statuses=self.runner,
            events=self.display,
            watcher=watcher,
        )

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C stops all pods in order, the next kills them. When all is over none is heeded any more:
        what is left is removed in a moment, and not by halves.
        """
        loop = asyncio.get_running_loop()
        for number in EXIT_CODES:
            loop.add_signal_handler(number, self._interrupt, number)
        try:
            yield
        finally:
            for number in EXIT_CODES:
                loop.add_signal_handler(number, lambda: None)

    def _interrupt(self, number: int) -> None:
        if self.runner.interrupted is None:
            self.display.note("interrupted: stopping in order (apps, then sidecars); Ctrl-C again kills")
            self.runner.interrupt(number)
        else:
            self.display.note("interrupted again: killing")
            self.runner.stop(at_once=True)
