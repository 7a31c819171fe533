"""What the node needs of the world. Each port has adapters: Docker and a fake for the engine, the API server and a
manifest for pods and objects, a file for the checkpoint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from vkprovider.core.actions import Action, Decision, News, PodEvent
from vkprovider.core.record import PodRecord
from vkprovider.core.services import Service
from vkprovider.core.tokens import Token
from vkprovider.core.view import PodView
from vkprovider.model.access import User
from vkprovider.model.create import ContainerCreate, Limits
from vkprovider.model.engine import (
    EngineInfo,
    ExecResult,
    ImageInfo,
    LogLine,
    LogTarget,
    Output,
    PullProgress,
    RegistryAuth,
    StoredImage,
)
from vkprovider.model.observed import Glance, PodObservation
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, ObjectRef, PodKey, PodUID, TokenRef
from vkprovider.model.usage import ClaimName, DiskUsage, FileSystem, RunningContainer, Usage, VolumeUse


class ProcessStreams(Protocol):
    """The streams of a process in a container. Raises EngineError or one of its kinds, nothing else."""

    def output(self) -> AsyncIterator[Output]:
        """What it says, until it says no more. Who does not ask for more makes it wait. To be called once."""
        ...

    async def write(self, data: bytes) -> None:
        """Give it input; wait while it takes none. What nobody reads any more is lost, as in a pipe."""
        ...

    async def end_input(self) -> None:
        """Let it see the end of its input."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """The size of its terminal, in characters. Best effort."""
        ...


class ExecStreams(ProcessStreams, Protocol):
    """The streams of a command executed in a container."""

    async def exit_code(self) -> int:
        """Wait for its end. To be called after its output has ended."""
        ...


class ContainerEngine(Protocol):
    """A container engine. Raises EngineNotFound, EngineConflict, EngineUnavailable or EngineError, nothing else.

    It sees and touches only containers whose node label is its own. All times it gives are aware, in UTC.
    """

    node: str

    async def info(self) -> EngineInfo: ...

    async def pods(self) -> Mapping[PodUID, Glance]:
        """All pods of which any container, dead or alive, is in the engine, and what one list shows of them."""
        ...

    async def observe(self, uid: PodUID) -> PodObservation:
        """All sandboxes and containers of a pod. One that cannot be inspected shows as UNKNOWN."""
        ...

    async def running(self) -> tuple[RunningContainer, ...]:
        """All containers of this node that run now, sandboxes included."""
        ...

    async def create(self, spec: ContainerCreate) -> ContainerID:
        """Create a container, or give the ID of the one that already bears its name if that is of the same pod.

        Raises EngineNotFound if the image is missing, EngineConflict if a foreign container has the name.
        """
        ...

    async def start(self, container_id: ContainerID) -> None:
        """Start a created container; one already running is left alone. Raises EngineError if it cannot start."""
        ...

    async def signal(self, container_id: ContainerID, signal: str) -> bool:
        """Send a signal. False if the container was not running or is gone: nothing was there to be signalled."""
        ...

    async def update(self, container_id: ContainerID, limits: Limits) -> None:
        """Give a running container new limits of cpu and memory, at once; its OOM score stays as it is."""
        ...

    async def memory_usage(self, container_id: ContainerID) -> int:
        """The bytes of memory that a running container uses, caches included; 0 for one that does not run."""
        ...

    async def remove(self, container_id: ContainerID) -> None:
        """Kill if need be, and remove, anonymous volumes included. One that is gone already is fine."""
        ...

    async def sandbox_image(self) -> str:
        """The image sandboxes run, loaded into the engine first if it is the built-in one."""
        ...

    async def image(self, name: str) -> ImageInfo | None:
        """The image as the engine has it now, or None."""
        ...

    async def stored_images(self) -> tuple[StoredImage, ...]:
        """All images that have a name."""
        ...

    async def images_in_use(self) -> frozenset[str]:
        """The IDs of the images of all containers of the engine, dead or alive, whoever they belong to."""
        ...

    async def remove_image(self, image_id: str) -> None:
        """Remove an image with all its names; one that is gone is fine. Raises EngineConflict if anything uses it."""
        ...

    def image_archive(self, image_id: str) -> AsyncIterator[bytes]:
        """An image as ``docker save`` writes it: a tar with a tar of each layer; ``manifest.json`` has their order."""
        ...

    async def pull(
        self, name: str, auths: Sequence[RegistryAuth], progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        """Pull an image; callers asking for the same image at once share one pull, which ends with the last of them.

        Raises ImagePullError with the registry's words.
        """
        ...

    async def exec(self, container_id: ContainerID, command: Sequence[str], timeout: float | None) -> ExecResult:
        """Run a command in a running container and give its output (stdout and stderr as they came, 10 KiB at most)."""
        ...

    def open_exec(
        self, container_id: ContainerID, command: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> AbstractAsyncContextManager[ExecStreams]:
        """Run a command in a running container, with its streams. One that has not ended on leaving is ended then."""
        ...

    def open_attach(
        self, container_id: ContainerID, *, stdin: bool = False
    ) -> AbstractAsyncContextManager[ProcessStreams]:
        """The streams of a running container's first process, from now on. On leaving it goes on without us."""
        ...

    def open_port(self, sandbox_id: ContainerID, port: int) -> AbstractAsyncContextManager[ExecStreams]:
        """A connection to a TCP port of a pod's loopback: its input and output, and exit code 0 once it has ended.

        Where it fails, ``stderr`` says why, and the exit code is another.
        """
        ...

    def logs(
        self,
        container_id: ContainerID,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        """The output recorded so far, oldest first, and with ``follow`` what comes until the container ends."""
        ...

    async def copy_log(self, container_id: ContainerID, target: LogTarget) -> None:
        """Keep a log file as the CRI has them (``wire.pod_log``), until a container that was started has ended and all
        of its output is there; go on where an earlier call, of an earlier process too, has left off.

        Raises EngineNotFound where the container is gone, and EngineError where it fails meanwhile: then call again.
        """
        ...

    async def create_volume(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> None:
        """Create an engine volume of the local driver; one of that name that exists is fine."""
        ...

    async def volume_directory(self, name: str) -> str:
        """Where on the engine's machine a volume lies, mounted there as long as a running container has it."""
        ...

    async def remove_volumes(self, labels: Mapping[str, str]) -> None:
        """Remove the volumes that bear all these labels."""
        ...

    async def forget(self, uid: PodUID) -> None:
        """Remove what is left of a pod, none of whose containers runs any more, beside them and its volumes."""
        ...

    async def run_tool(self, args: Sequence[str], directory: str) -> None:
        """Run the sandbox image's program once, as root, with ``directory`` of the host mounted at the same path."""
        ...

    def changes(self) -> AsyncIterator[PodUID | None]:
        """The uid of each pod that something happened to; None when any may have changed unseen.

        Never ends by itself: it reconnects, and yields None after each connect and every 30 s.
        """
        ...

    async def close(self) -> None: ...


class UsageSource(Protocol):
    """What the machine and the node's containers use. Nothing is read while nobody asks, and those who ask soon after
    one another get the same answer. Raises EngineError or one of its kinds, nothing else.
    """

    async def usage(self) -> Usage:
        """CPU, memory, devices and networks, no older than 10 s."""
        ...

    async def disk_usage(self) -> DiskUsage:
        """Disks, no older than a minute, or longer where it takes long to count."""
        ...


class VolumeUsages(Protocol):
    """What the pods' volumes take."""

    async def volumes(self) -> Mapping[PodUID, tuple[VolumeUse, ...]]:
        """Of all pods, no older than a minute, or longer where it takes long to count. Paths of the host are nobody's,
        and not in it.
        """
        ...

    async def claims(self) -> Mapping[ClaimName, FileSystem]:
        """The file systems of the claims that pods have, as they are now: nothing has to be counted for that."""
        ...


class StatusSink(Protocol):
    """Takes a pod's whole v1.PodStatus whenever it differs from the one before. Must not block or raise."""

    def publish(self, pod: Pod, status: dict[str, Any]) -> None: ...

    def gone(self, pod: Pod) -> None:
        """Nothing of the pod is left on this node; its last status stands."""
        ...


class EventSink(Protocol):
    """Takes events, best effort. Must not block or raise."""

    def record(self, pod: Pod, event: PodEvent, at: datetime) -> None: ...


class ObjectStore(Protocol):
    """What pods refer to by name, the tokens of service accounts, and the Services that there are."""

    async def get(self, ref: ObjectRef, pod: Pod) -> Mapping[str, Any] | None:
        """The raw object, or None if it does not exist. Raises VkError if that cannot be known now; NotGranted for one
        of another namespace that the pod has no leave for, whether it exists or not.
        """
        ...

    def follow(self, pod: Pod, refs: frozenset[ObjectRef], changed: Callable[[ObjectRef], None]) -> None:
        """Have ``changed`` called when one of these objects may be another than ``get`` gave, or gives for the first
        time, or is granted or withheld. What the pod followed before and is not among them is no longer followed for
        it.
        """
        ...

    async def token(self, ref: TokenRef) -> Token:
        """A token that is not due to be renewed. Raises VkError if there is none to be had."""
        ...

    async def services(self) -> Sequence[Service]:
        """All that containers may be told of. Raises VkError while that is not known."""
        ...


class PodIndex(Protocol):
    """The node's pods, as those who ask by name see them."""

    def all(self) -> Sequence[Pod]:
        """Those too that are on their way out."""
        ...

    def find(self, key: PodKey) -> Pod | None:
        """The newest pod of that name on this node."""
        ...

    def status(self, uid: PodUID) -> Mapping[str, Any]:
        """Its v1.PodStatus as it was last decided; empty before it was."""
        ...


class AccessReviews(Protocol):
    """What the cluster says of those who ask something of this node. Every method raises ApiError."""

    async def user(self, token: str) -> User | None:
        """Whose token it is; None if it is nobody's."""
        ...

    async def allows(self, user: User, verb: str, subresource: str) -> bool:
        """Whether the user may do this with a subresource of this Node."""
        ...


class Watcher(Protocol):
    """Sees every look a worker takes, for display. Must not block or raise."""

    def looked(self, view: PodView, decision: Decision) -> None: ...

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None: ...


class Stopwatch(Protocol):
    """Hears how many seconds the steps of workers took. Must not block or raise."""

    def looked(self, causes: Sequence[str], decision: Decision | None, waited: float, seconds: float) -> None:
        """A look, with all that was decided and published. The first of the causes had ``waited`` until it began. None
        was decided where the engine could not be asked.
        """
        ...

    def acted(self, action: Action, news: Sequence[News], seconds: float) -> None:
        """An action, and what came of it."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float: ...


class WaitingClock(Clock, Protocol):
    """A clock that one can also wait on."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; at once if they are none or negative."""
        ...


class Checkpoint(Protocol):
    """One small file per pod, durable before ``save`` returns. The methods block: they are called from a thread."""

    def save(self, uid: PodUID, record: PodRecord, pod: Pod) -> None: ...

    def delete(self, uid: PodUID) -> None: ...
