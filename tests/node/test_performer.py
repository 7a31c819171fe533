"""Each action on the fake engine, with real files: the news it answers with, whatever comes of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.core.given import at, container, marked, pod
from tests.fakes.programs import Command, Program
from tests.fakes.virtual_time import virtual_time
from tests.node.stage import Stage
from vkprovider.core.actions import (
    Action,
    ActionFailed,
    CreateSandbox,
    HookFailed,
    PrepareVolumes,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunHook,
    SandboxFailed,
    SignalContainer,
    SignalSent,
    StartContainer,
    TeardownPod,
    TornDown,
    VolumesFailed,
    VolumesReady,
    Warned,
)
from vkprovider.core.tokens import Token
from vkprovider.errors import EngineError, EngineUnavailable, VkError
from vkprovider.model.probe import ExecAction, LifecycleHandler, SleepAction, TCPSocketAction
from vkprovider.model.refs import ContainerID, ObjectRef, PodUID, TokenRef

DOWN = "cannot talk to the engine: Connection refused"


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
    complaint = 'MountVolume.SetUp failed for volume "v" : the API server is away'
    assert failed == VolumesFailed(messages=(complaint,))


@virtual_time
async def test_a_token_is_due_with_its_volume(tmp_path: Path):
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
    volume = {"name": "v", "projected": {"sources": [source]}}
    stage = await Stage.on(tmp_path, pod(container("app"), volumes=[volume]))
    (failed,) = await stage.do(PrepareVolumes(version=1))
    assert isinstance(failed, VolumesFailed)
    assert 'failed to fetch token: serviceaccounts "default" not found' in failed.messages[0]
    ref = TokenRef("default", "default", "p", PodUID("u"), "", 3607)
    stage.node.objects.tokens[ref] = Token(value="t0", renew_at=at(60))
    assert await stage.do(PrepareVolumes(version=1)) == (VolumesReady(version=1, renew_at=at(60)),)
    assert (tmp_path / "pods/u/volumes/kubernetes.io~projected/v/token").read_text() == "t0"


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
async def test_a_sandbox_has_the_runtime_that_the_pods_class_names(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app"), runtimeClassName="gpu"))
    failed = SandboxFailed(message='runtimeclass.node.k8s.io "gpu" not found')
    assert await stage.do(CreateSandbox(attempt=0)) == (failed,)
    ref = ObjectRef("RuntimeClass", "", "gpu")
    stage.node.objects.objects[ref] = {"handler": "nvidia"}
    failed = SandboxFailed(message='failed to get sandbox runtime: no runtime for "nvidia" is configured')
    assert await stage.do(CreateSandbox(attempt=0)) == (failed,)
    stage.node.objects.objects[ref] = {"handler": "slow"}
    await stage.sandbox()
    seen = await stage.engine.observe(stage.pod.uid)
    assert seen.sandboxes[0].runtime == "slow"


@virtual_time
async def test_a_sandbox_is_removed(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    sandbox_id = await stage.sandbox()
    assert await stage.do(RemoveSandbox(sandbox_id=sandbox_id)) == ()
    assert stage.engine.containers == {}
    assert await stage.do(RemoveSandbox(sandbox_id=sandbox_id)) == ()


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
    (news,) = await stage.do(hook(app, bad))
    said = "failed - error: command 'bad' exited with 1: no, message: \"\""
    whose = f'for Container "app" in Pod "p_default({stage.pod.uid})"'
    assert news == msgspec.structs.replace(failed, message=f"Exec lifecycle hook ([bad]) {whose} {said}")
    invalid = "Cannot run handler: invalid handler: tcpSocket"
    (news,) = await stage.do(hook(app, LifecycleHandler(tcp_socket=TCPSocketAction(port=1))))
    assert news == msgspec.structs.replace(failed, message=invalid)
    assert await stage.do(hook(app, LifecycleHandler(sleep=SleepAction(seconds=5)))) == ()
    assert stage.node.clock.monotonic() == 5


@virtual_time
async def test_a_hook_in_a_container_that_is_gone(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    gone = ContainerID("gone")
    (news,) = await stage.do(hook(gone, LifecycleHandler(exec=ExecAction(command=("true",)))))
    assert isinstance(news, HookFailed)
    assert (news.container_id, news.hook) == (gone, "PreStop")


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
        PullImage(key="app", image="busybox:1.28", policy="IfNotPresent", attempt=0),
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
