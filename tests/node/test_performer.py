"""Each action on the fake engine, with real files: the news it answers with, whatever comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core.given import container, marked, pod
from tests.fakes.node import LivingNode
from tests.fakes.programs import Command, Program
from tests.fakes.virtual_time import virtual_time
from vkprovider.core.actions import (
    Action,
    ActionFailed,
    ContainerCreated,
    ContainerStarted,
    CreateSandbox,
    HookFailed,
    News,
    PrepareVolumes,
    PullDone,
    PullImage,
    PullStarted,
    RemoveContainer,
    RemoveSandbox,
    RunHook,
    SandboxFailed,
    SignalContainer,
    SignalSent,
    StartContainer,
    StartFailed,
    TeardownPod,
    TornDown,
    VolumesFailed,
    VolumesReady,
    Warned,
)
from vkprovider.errors import EngineError, EngineUnavailable, VkError
from vkprovider.model.pod import Pod
from vkprovider.model.probe import ExecAction, LifecycleHandler, SleepAction, TCPSocketAction
from vkprovider.model.refs import ContainerID, ObjectRef
from vkprovider.ports import ImageInfo

POD = pod(container("app"))
DOWN = "cannot talk to the engine: Connection refused"
IP = ("10.88.0.2",)


class Stage:
    """One pod and the performer of a node; ``heard`` is what it told before it was done."""

    def __init__(self, node: LivingNode, of: Pod) -> None:
        self.node = node
        self.engine = node.engine
        self.pod = of
        self.heard: list[News] = []
        self._performer = node.around().performer

    @classmethod
    async def on(cls, directory: Path, of: Pod = POD) -> Stage:
        return cls(await LivingNode.on(directory), of)

    async def do(self, action: Action, ips: tuple[str, ...] = IP) -> tuple[News, ...]:
        return await self._performer.perform(self.pod, action, ips, self.heard.append)

    async def sandbox(self, attempt: int = 0) -> ContainerID:
        """Make a sandbox."""
        assert await self.do(CreateSandbox(attempt=attempt)) == ()
        seen = await self.engine.observe(self.pod.uid)
        return seen.sandboxes[0].id

    def starting(self, sandbox_id: ContainerID, name: str = "app", **fields: Any) -> StartContainer:
        image = self.engine.images["busybox:1.28"].id
        wanted = {"key": name, "attempt": 0, "sandbox_id": sandbox_id, "image_id": image, "backoff_seconds": 0}
        return StartContainer(**(wanted | fields))

    async def started(self, name: str = "app") -> ContainerID:
        """Make a sandbox and start a container."""
        news = await self.do(self.starting(await self.sandbox(), name))
        assert isinstance(news[-1], ContainerStarted)
        return news[-1].container_id


def pulling(policy: str, image: str = "busybox:1.28", attempt: int = 0) -> PullImage:
    return PullImage(key="app", image=image, policy=policy, attempt=attempt)


# --- volumes and sandbox -----------------------------------------------------------------------------------------


@virtual_time
async def test_volumes_are_made(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app"), volumes=[{"name": "v", "emptyDir": {}}]))
    assert await stage.do(PrepareVolumes()) == (VolumesReady(),)
    assert (tmp_path / "pods/u/volumes/kubernetes.io~empty-dir/v").is_dir()


@virtual_time
async def test_a_volume_is_made_from_its_object(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app"), volumes=[{"name": "v", "configMap": {"name": "c"}}]))
    (failed,) = await stage.do(PrepareVolumes())
    assert failed == VolumesFailed(messages=('MountVolume.SetUp failed for volume "v" : configmap "c" not found',))
    stage.node.objects.objects[ObjectRef("ConfigMap", "default", "c")] = {"data": {"key": "value"}}
    assert await stage.do(PrepareVolumes()) == (VolumesReady(),)
    assert (tmp_path / "pods/u/volumes/kubernetes.io~configmap/v/key").read_text() == "value"


@virtual_time
async def test_objects_that_cannot_be_fetched_now_are_asked_for_again(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app"), volumes=[{"name": "v", "configMap": {"name": "c"}}]))
    stage.node.objects.error = VkError("the API server is away")
    (failed,) = await stage.do(PrepareVolumes())
    assert failed == ActionFailed(action="PrepareVolumes", message="the API server is away")


@virtual_time
async def test_a_pod_whose_directory_cannot_be_made_has_no_volumes(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    (tmp_path / "pods").write_text("not a directory")
    (failed,) = await stage.do(PrepareVolumes())
    assert isinstance(failed, VolumesFailed)
    assert failed.messages[0].startswith("error making pod data directories: ")


@virtual_time
async def test_a_sandbox_is_made_once(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    assert await stage.sandbox() == await stage.sandbox()
    (sandbox,) = stage.engine.containers.values()
    assert (sandbox.spec.name, sandbox.runs) == ("k8s_POD_p_default_u_0", 1)


@pytest.mark.parametrize("verb", ["sandbox_image", "create", "start"])
@pytest.mark.parametrize("error", [EngineError, EngineUnavailable])
@virtual_time
async def test_a_sandbox_that_cannot_be_made(tmp_path: Path, verb: str, error: type[EngineError]):
    stage = await Stage.on(tmp_path)
    stage.engine.fail(verb, error("no room"))
    assert await stage.do(CreateSandbox(attempt=0)) == (SandboxFailed(message="no room"),)
    assert await stage.do(CreateSandbox(attempt=0)) == ()


@virtual_time
async def test_a_sandbox_warns_of_name_servers_that_are_left_out(tmp_path: Path):
    config = {"nameservers": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]}
    stage = await Stage.on(tmp_path, pod(container("app"), dnsPolicy="None", dnsConfig=config))
    (warned,) = await stage.do(CreateSandbox(attempt=0))
    assert isinstance(warned, Warned)
    assert (warned.reason, "10.0.0.1 10.0.0.2 10.0.0.3" in warned.message) == ("DNSConfigForming", True)


@virtual_time
async def test_a_sandbox_is_removed(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    sandbox_id = await stage.sandbox()
    assert await stage.do(RemoveSandbox(sandbox_id=sandbox_id)) == ()
    assert stage.engine.containers == {}
    assert await stage.do(RemoveSandbox(sandbox_id=sandbox_id)) == ()


# --- images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["IfNotPresent", "Never"])
@virtual_time
async def test_an_image_that_is_there_is_not_pulled(tmp_path: Path, policy: str):
    stage = await Stage.on(tmp_path)
    image = stage.engine.add_image("busybox:1.28", size_bytes=77)
    done = PullDone(key="app", image="busybox:1.28", attempt=3, image_id=image.id, seconds=None, size_bytes=77)
    assert await stage.do(pulling(policy, attempt=3)) == (done,)
    assert stage.heard == stage.engine.calls("pull") == []


@pytest.mark.parametrize(("policy", "present"), [("Always", True), ("Always", False), ("IfNotPresent", False)])
@virtual_time
async def test_an_image_is_pulled_as_its_policy_asks(tmp_path: Path, policy: str, present: bool):
    stage = await Stage.on(tmp_path)
    stage.engine.registry = {"registry/a:1": ImageInfo(id="sha256:new", size_bytes=99)}
    if present:
        stage.engine.add_image("registry/a:1", id="sha256:old")
    (done,) = await stage.do(pulling(policy, "registry/a:1"))
    assert done == PullDone(
        key="app", image="registry/a:1", attempt=0, image_id="sha256:new", seconds=0.0, size_bytes=99
    )
    assert stage.heard == [PullStarted(key="app", image="registry/a:1")]
    assert [(name, progress.total_bytes) for name, progress in stage.node.told.progress] == [("app", 99)]


@virtual_time
async def test_an_image_that_must_not_be_pulled_and_is_not_there(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    (failed,) = await stage.do(pulling("Never", "a:1", attempt=2))
    message = 'Container image "a:1" is not present with pull policy of Never'
    assert failed == StartFailed(key="app", attempt=2, reason="ErrImageNeverPull", message=message, image="a:1")
    assert stage.engine.calls("pull") == []


@virtual_time
async def test_an_image_that_cannot_be_pulled(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    stage.engine.pull_errors["a:1"] = "pull access denied"
    (failed,) = await stage.do(pulling("IfNotPresent", "a:1"))
    assert failed == StartFailed(key="app", attempt=0, reason="ErrImagePull", message="pull access denied", image="a:1")
    assert stage.heard == [PullStarted(key="app", image="a:1")]


@virtual_time
async def test_a_name_that_is_no_image(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    (failed,) = await stage.do(pulling("Always", "Busybox:1"))
    assert isinstance(failed, StartFailed)
    assert failed.reason == "InvalidImageName"
    assert failed.message.startswith('Failed to apply default image tag "Busybox:1": couldn\'t parse image name ')
    assert stage.engine.journal == []


# --- starts ------------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_container_is_started_in_its_sandbox(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    sandbox_id = await stage.sandbox()
    news = await stage.do(stage.starting(sandbox_id, backoff_seconds=20, attempt=3))
    (app,) = stage.engine.named("app")
    assert news == (
        ContainerCreated(key="app", container_id=app.id),
        ContainerStarted(key="app", container_id=app.id),
    )
    assert app.running
    assert app.identity is not None
    assert (app.attempt, app.identity.backoff_seconds, app.identity.image) == (3, 20, "busybox:1.28")
    assert app.spec.network == f"container:{sandbox_id}"
    targets = {mount.target for mount in app.spec.mounts}
    assert targets == {"/dev/termination-log", "/etc/hosts"}


@virtual_time
async def test_a_start_repeated_is_done_once(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    assert await stage.do(action) == await stage.do(action)
    assert [c.runs for c in stage.engine.named("app")] == [1]


@virtual_time
async def test_variables_come_from_objects_and_from_the_pod(tmp_path: Path):
    env = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "word"}}},
    ]
    stage = await Stage.on(tmp_path, pod(container("app", env=env)))
    stage.node.objects.objects[ObjectRef("Secret", "default", "s")] = {"data": {"word": "bW9sZQ=="}}
    await stage.started()
    (app,) = stage.engine.named("app")
    assert app.spec.env == ("IP=10.88.0.2", "NODE=node", "WORD=mole")


CONFIG = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "a"}}}


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"env": [CONFIG]}, "CreateContainerConfigError", 'configmap "c" not found'),
        (
            {"securityContext": {"runAsNonRoot": True}},
            "CreateContainerConfigError",
            'container has runAsNonRoot and image will run as root (pod: "p_default(u)", container: app)',
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            "CreateContainerConfigError",
            'cannot find volume "v" to mount into container "app"',
        ),
    ],
)
@virtual_time
async def test_a_container_that_cannot_be_made_of_its_spec(
    tmp_path: Path, fields: dict[str, Any], reason: str, message: str
):
    stage = await Stage.on(tmp_path, pod(container("app", **fields)))
    (failed,) = await stage.do(stage.starting(await stage.sandbox(), attempt=2))
    assert failed == StartFailed(key="app", attempt=2, reason=reason, message=message)
    assert stage.engine.named("app") == []


@virtual_time
async def test_a_disk_that_fails_is_no_reason_to_give_up(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    (tmp_path / "pods").write_text("not a directory")
    (failed,) = await stage.do(action)
    assert isinstance(failed, StartFailed)
    assert failed.reason == "CreateContainerError"
    assert "Not a directory" in failed.message


@virtual_time
async def test_an_image_that_was_removed_after_its_pull(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    del stage.engine.images["busybox:1.28"]
    (failed,) = await stage.do(action)
    message = f"image {action.image_id} is not in the engine any more"
    assert failed == StartFailed(key="app", attempt=0, reason="CreateContainerError", message=message)


@virtual_time
async def test_an_image_is_asked_for_once(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    await stage.do(pulling("IfNotPresent"))
    await stage.started()
    assert len(stage.engine.calls("image")) == 1


@virtual_time
async def test_a_create_that_is_refused(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    stage.engine.fail("create", EngineError("invalid mount config"))
    (failed,) = await stage.do(action)
    assert failed == StartFailed(key="app", attempt=0, reason="CreateContainerError", message="invalid mount config")


@virtual_time
async def test_a_start_that_fails(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    stage.engine.program("app", Program(start_error="exec: no such file"))
    news = await stage.do(stage.starting(await stage.sandbox()))
    (app,) = stage.engine.named("app")
    assert news == (
        ContainerCreated(key="app", container_id=app.id),
        StartFailed(key="app", attempt=0, reason="RunContainerError", message="exec: no such file"),
    )


@pytest.mark.parametrize("verb", ["create", "start"])
@pytest.mark.parametrize("after", [False, True])
@virtual_time
async def test_a_start_of_which_nothing_is_known(tmp_path: Path, verb: str, after: bool):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    stage.engine.fail(verb, EngineUnavailable("timed out"), after=after)
    assert await stage.do(action) == (ActionFailed(key="app", action="StartContainer", message="timed out"),)
    (_, started) = await stage.do(action)
    assert isinstance(started, ContainerStarted)
    assert [c.runs for c in stage.engine.named("app")] == [1]


# --- hooks, signals, removals ------------------------------------------------------------------------------------


def hook(container_id: ContainerID, handler: LifecycleHandler) -> RunHook:
    return RunHook(key="app", container_id=container_id, hook="PreStop", handler=handler)


@virtual_time
async def test_hooks(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    stage.engine.program("app", Program(commands={"bad": Command(code=1, output=b"no")}))
    app = await stage.started()
    good, bad = (LifecycleHandler(exec=ExecAction(command=(word,))) for word in ("good", "bad"))
    failed = HookFailed(key="app", container_id=app, hook="PreStop")
    assert await stage.do(hook(app, good)) == ()
    assert await stage.do(hook(app, bad)) == (failed,)
    assert await stage.do(hook(app, LifecycleHandler(tcp_socket=TCPSocketAction(port=1)))) == (failed,)
    assert await stage.do(hook(app, LifecycleHandler(sleep=SleepAction(seconds=5)))) == ()
    assert stage.node.clock.monotonic() == 5


@virtual_time
async def test_a_hook_in_a_container_that_is_gone(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    gone = ContainerID("gone")
    failed = HookFailed(key="app", container_id=gone, hook="PreStop")
    assert await stage.do(hook(gone, LifecycleHandler(exec=ExecAction(command=("true",))))) == (failed,)


@virtual_time
async def test_signals(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    app = await stage.started()
    for signal in ("", "KILL"):
        sent = SignalSent(key="app", container_id=app, signal=signal)
        assert await stage.do(SignalContainer(key="app", container_id=app, signal=signal)) == (sent,)
    assert [c.signals for c in stage.engine.named("app")] == [["TERM"]]
    nobody = ContainerID("gone")
    sent = SignalSent(key="app", container_id=nobody, signal="")
    assert await stage.do(SignalContainer(key="app", container_id=nobody, signal="")) == (sent,)


@virtual_time
async def test_a_container_is_removed(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    app = await stage.started()
    assert await stage.do(RemoveContainer(key="app", container_id=app)) == ()
    assert stage.engine.named("app") == []


@virtual_time
async def test_a_teardown_leaves_nothing(tmp_path: Path):
    memory = {"name": "m", "emptyDir": {"medium": "Memory"}}
    mounts = [{"name": "m", "mountPath": "/m"}]
    stage = await Stage.on(tmp_path, pod(container("app", volumeMounts=mounts), marked("side"), volumes=[memory]))
    await stage.do(PrepareVolumes())
    await stage.started()
    assert stage.engine.volumes
    assert await stage.do(TeardownPod()) == (TornDown(),)
    removed = [call.target for call in stage.engine.calls("remove")]
    assert removed == ["k8s_app_p_default_u_0", "k8s_POD_p_default_u_0"]
    assert (stage.engine.containers, stage.engine.volumes) == ({}, {})
    assert list((tmp_path / "pods").iterdir()) == []
    assert await stage.do(TeardownPod()) == (TornDown(),)


@pytest.mark.parametrize("verb", ["remove", "remove_volumes"])
@virtual_time
async def test_a_teardown_that_stops_half_way_goes_on_later(tmp_path: Path, verb: str):
    stage = await Stage.on(tmp_path)
    await stage.do(PrepareVolumes())
    await stage.started()
    stage.engine.fail(verb, EngineError("device or resource busy"))
    failed = ActionFailed(action="TeardownPod", message="device or resource busy")
    assert await stage.do(TeardownPod()) == (failed,)
    assert (tmp_path / "pods" / "u").exists()
    assert await stage.do(TeardownPod()) == (TornDown(),)


SOME_ID = ContainerID("c")


@pytest.mark.parametrize(
    "action",
    [
        pulling("IfNotPresent"),
        StartContainer(key="app", attempt=0, sandbox_id=SOME_ID, image_id="i", backoff_seconds=0),
        SignalContainer(key="app", container_id=SOME_ID, signal="KILL"),
        RemoveContainer(key="app", container_id=SOME_ID),
        RemoveSandbox(sandbox_id=SOME_ID),
        TeardownPod(),
    ],
    ids=lambda action: type(action).__name__,
)
@virtual_time
async def test_an_engine_that_is_down_fails_every_action_the_same_way(tmp_path: Path, action: Action):
    stage = await Stage.on(tmp_path)
    stage.engine.down = True
    failed = ActionFailed(key=action.key, action=type(action).__name__, message=DOWN)
    assert await stage.do(action) == (failed,)


@virtual_time
async def test_an_action_nobody_knows_is_an_error_of_ours(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    with pytest.raises(AssertionError, match="unknown action"):
        await stage.do(Action(key="app"))
