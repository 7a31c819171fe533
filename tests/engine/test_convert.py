from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from vkprovider.engine import convert
from vkprovider.model.engine import EngineInfo, ImageInfo, StoredImage
from vkprovider.model.labels import CONTAINER_TYPE, NODE, SANDBOX_TYPE, ContainerIdentity, encode
from vkprovider.model.observed import ContainerState, Run, SandboxState
from vkprovider.model.refs import ContainerID, PodUID

ZERO = "0001-01-01T00:00:00Z"
CREATED, STARTED, FINISHED = (f"2026-01-02T03:04:0{second}.123456789Z" for second in (5, 6, 7))
IDENTITY = ContainerIdentity(
    node="node",
    type=CONTAINER_TYPE,
    pod_name="p",
    pod_namespace="ns",
    pod_uid=PodUID("uid"),
    name="app",
    attempt=3,
    sandbox_id=ContainerID("sandbox"),
    image="busybox:1.28",
    backoff_seconds=20,
    hash="h",
)


def time(second: int) -> datetime:
    return datetime(2026, 1, 2, 3, 4, second, 123456, tzinfo=UTC)


def inspected(identity: ContainerIdentity = IDENTITY, **state: Any) -> dict[str, Any]:
    """An answer to inspect, of a container that was created and no more, but for what is given of its state."""
    plain = {
        "Status": "created",
        "Running": False,
        "Paused": False,
        "OOMKilled": False,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": ZERO,
        "FinishedAt": ZERO,
    }
    return {
        "Id": "c" * 64,
        "Created": CREATED,
        "Image": "sha256:1",
        "Config": {"Labels": encode(identity)},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {}},
        "State": plain | state,
    }


def seen(entry: dict[str, Any]) -> ContainerState:
    (state,) = convert.observation([entry]).containers
    return state


ALIVE = {"Running": True, "Pid": 7, "StartedAt": STARTED}
OVER = {"StartedAt": STARTED, "FinishedAt": FINISHED}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, {"run": Run.CREATED}),
        ({"Status": "running"} | ALIVE, {"run": Run.RUNNING, "started_at": time(6), "pid": 7}),
        ({"Status": "restarting"} | ALIVE, {"run": Run.RUNNING, "started_at": time(6), "pid": 7}),
        ({"Status": "paused", "Paused": True} | ALIVE, {"run": Run.PAUSED, "started_at": time(6), "pid": 7}),
        (  # the exit of an earlier run is not this one's
            {"Status": "running", "FinishedAt": CREATED, "ExitCode": 3, "OOMKilled": True} | ALIVE,
            {"run": Run.RUNNING, "started_at": time(6), "pid": 7},
        ),
        ({"Status": "exited"} | OVER, {"run": Run.EXITED, "started_at": time(6), "finished_at": time(7)}),
        (
            {"Status": "exited", "ExitCode": 137, "OOMKilled": True} | OVER,
            {
                "run": Run.EXITED,
                "started_at": time(6),
                "finished_at": time(7),
                "exit_code": 137,
                "oom_killed": True,
            },
        ),
        (
            {"Status": "removing", "ExitCode": 1} | OVER,
            {"run": Run.EXITED, "started_at": time(6), "finished_at": time(7), "exit_code": 1},
        ),
        (
            {"Status": "dead", "ExitCode": 2} | OVER,
            {"run": Run.EXITED, "started_at": time(6), "finished_at": time(7), "exit_code": 2},
        ),
        (  # as Docker tells it of a container that ends at once
            {"Status": "exited", "StartedAt": FINISHED, "FinishedAt": STARTED},
            {"run": Run.EXITED, "started_at": time(7), "finished_at": time(7)},
        ),
        ({"Status": "removing"}, {"run": Run.CREATED}),
        ({"Status": "dead"}, {"run": Run.CREATED}),
        (
            {"ExitCode": 127, "Error": "no such file"},
            {"run": Run.EXITED, "exit_code": 128, "start_error": "no such file"},
        ),
        ({"Error": "no network"}, {"run": Run.EXITED, "exit_code": 128, "start_error": "no network"}),
        ({"ExitCode": 126}, {"run": Run.EXITED, "exit_code": 128, "start_error": "start failed with code 126"}),
        ({"ExitCode": 128, "Error": "task: context canceled"}, {"run": Run.CREATED, "exit_code": 0, "start_error": ""}),
        ({"Status": "never-heard-of"}, {"run": Run.UNKNOWN}),
    ],
)
def test_how_a_container_stands(state: dict[str, Any], expected: dict[str, Any]):
    fields = {
        "id": "c" * 64,
        "name": "app",
        "attempt": 3,
        "sandbox_id": "sandbox",
        "created_at": time(5),
        "image": "busybox:1.28",
        "image_id": "sha256:1",
        "backoff_seconds": 20,
        "spec_hash": "h",
    }
    assert seen(inspected(**state)) == ContainerState(**(fields | expected))


@pytest.mark.parametrize(("wanted", "expected"), [("USR1", "USR1"), ("", ""), (None, "")])
def test_the_stop_signal(wanted: str | None, expected: str):
    entry = inspected()
    entry["Config"]["StopSignal"] = wanted
    assert seen(entry).stop_signal == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ZERO, None),
        ("", None),
        (None, None),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.999999999Z", datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)),
        ("2026-01-02T05:04:05.5+02:00", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
    ],
)
def test_times(text: str | None, expected: datetime | None):
    assert convert.instant(text) == expected


LISTED = {
    "Id": "c" * 64,
    "Created": 1_767_323_045,
    "ImageID": "sha256:1",
    "State": "running",
    "HostConfig": {"NetworkMode": "default"},
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}},
}


def test_a_container_that_could_not_be_inspected_is_unknown():
    state = seen(LISTED | {"Labels": encode(IDENTITY)})
    assert (state.run, state.attempt, state.image_id) == (Run.UNKNOWN, 3, "sha256:1")
    assert state.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert state.alive


def sandbox_identity(attempt: int = 0) -> ContainerIdentity:
    return ContainerIdentity(
        node="node",
        type=SANDBOX_TYPE,
        pod_name="p",
        pod_namespace="ns",
        pod_uid=PodUID("uid"),
        name="POD",
        attempt=attempt,
    )


def test_a_sandbox_that_could_not_be_inspected_is_as_the_list_says():
    (sandbox,) = convert.observation([LISTED | {"Labels": encode(sandbox_identity())}]).sandboxes
    assert (sandbox.ready, sandbox.ips) == (True, ("172.17.0.2",))


@pytest.mark.parametrize(
    ("status", "network", "addresses", "ready", "ips"),
    [
        ("running", "default", {"IPAddress": "10.0.0.2"}, True, ("10.0.0.2",)),
        (
            "running",
            "pods",
            {"IPAddress": "10.0.0.2", "GlobalIPv6Address": "fd00::2"},
            True,
            ("10.0.0.2", "fd00::2"),
        ),
        ("running", "default", {"IPAddress": ""}, False, ()),
        ("running", "host", {"IPAddress": ""}, True, ()),
        ("exited", "default", {"IPAddress": ""}, False, ()),
        ("exited", "host", {"IPAddress": ""}, False, ()),
        ("paused", "default", {"IPAddress": "10.0.0.2"}, False, ("10.0.0.2",)),
    ],
)
def test_how_a_sandbox_stands(status: str, network: str, addresses: dict[str, str], ready: bool, ips: tuple[str, ...]):
    entry = inspected(sandbox_identity(), Status=status)
    entry["HostConfig"]["NetworkMode"] = network
    entry["NetworkSettings"]["Networks"] = {network: addresses}
    assert convert.observation([entry]).sandboxes == (
        SandboxState(id=ContainerID("c" * 64), attempt=0, ready=ready, created_at=time(5), ips=ips),
    )


def test_newest_first_and_no_strangers():
    def entry(identity: ContainerIdentity, container_id: str, created: str = CREATED) -> dict[str, Any]:
        return inspected(identity) | {"Id": container_id, "Created": created}

    def attempt(number: int) -> ContainerIdentity:
        return ContainerIdentity(
            node="node",
            type=CONTAINER_TYPE,
            pod_name="p",
            pod_namespace="ns",
            pod_uid=PodUID("uid"),
            name="app",
            attempt=number,
        )

    stranger = inspected()
    stranger["Config"]["Labels"] = {NODE: "node"}
    bare = inspected()
    bare["Config"]["Labels"] = None
    observed = convert.observation(
        [
            entry(attempt(9), "nine"),
            stranger,
            entry(attempt(10), "old ten"),
            entry(sandbox_identity(0), "sandbox 0"),
            entry(attempt(10), "ten", FINISHED),
            entry(sandbox_identity(1), "sandbox 1"),
            bare,
        ]
    )
    assert [c.id for c in observed.containers] == ["ten", "old ten", "nine"]
    assert [s.id for s in observed.sandboxes] == ["sandbox 1", "sandbox 0"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"sandbox_id": ContainerID("other"), "image": "other", "hash": "other", "backoff_seconds": 1}, True),
        ({"node": "other"}, False),
        ({"pod_uid": PodUID("other")}, False),
        ({"name": "other"}, False),
        ({"attempt": 4}, False),
        ({"type": SANDBOX_TYPE}, False),
    ],
)
def test_the_same_instance(change: dict[str, Any], same: bool):
    fields = {field: getattr(IDENTITY, field) for field in IDENTITY.__struct_fields__}
    other = ContainerIdentity(**(fields | change))
    assert convert.same_instance(encode(IDENTITY), encode(other)) is same
    assert not convert.same_instance(encode(IDENTITY), None)


# --- facts ------------------------------------------------------------------------------------------------------


def test_engine_info():
    info = {
        "ServerVersion": "26.1.5",
        "OSType": "linux",
        "Architecture": "x86_64",
        "KernelVersion": "6.1.0",
        "OperatingSystem": "Debian GNU/Linux 13",
        "NCPU": 2,
        "MemTotal": 1024,
        "DockerRootDir": "/var/lib/docker",
        "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
        "Runtimes": {"runc": {}, "gvisor": {}},
    }
    assert convert.engine_info(info, "1.45") == EngineInfo(
        version="26.1.5",
        api_version="1.45",
        os="linux",
        architecture="x86_64",
        kernel="6.1.0",
        operating_system="Debian GNU/Linux 13",
        cpus=2,
        memory=1024,
        root_dir="/var/lib/docker",
        runtimes=("gvisor", "runc"),
        security=("seccomp", "rootless"),
    )


def test_image_info():
    image = {
        "Id": "sha256:1",
        "Size": 5,
        "RepoDigests": ["mirror/busybox@sha256:2", "busybox@sha256:2"],
        "Config": {
            "User": "1:2",
            "Env": ["A=1"],
            "Entrypoint": ["/e"],
            "Cmd": ["c"],
            "StopSignal": "USR1",
        },
    }
    expected = ImageInfo(
        id="sha256:1",
        size_bytes=5,
        digest="busybox@sha256:2",
        user="1:2",
        env=("A=1",),
        entrypoint=("/e",),
        stop_signal="USR1",
    )
    assert convert.image_info(image, "busybox:1.28") == expected


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("busybox", "busybox@sha256:2"),
        ("docker.io/library/busybox:1", "busybox@sha256:2"),
        ("busybox@sha256:3", "busybox@sha256:3"),
        ("busybox:1@sha256:3", "busybox@sha256:3"),
        ("elsewhere/busybox:1", "mirror/busybox@sha256:2"),
        ("sha256:1", "mirror/busybox@sha256:2"),
    ],
)
def test_of_several_digests_the_one_that_was_asked_for_counts(name: str, digest: str):
    digests = ["mirror/busybox@sha256:2", "busybox@sha256:2", "busybox@sha256:3"]
    assert convert.image_info({"Id": "sha256:1", "RepoDigests": digests}, name).digest == digest


@pytest.mark.parametrize("config", [None, {}, {"Env": None, "Cmd": None, "Entrypoint": None}])
def test_an_image_that_says_nothing(config: dict[str, Any] | None):
    assert convert.image_info({"Id": "sha256:1", "Config": config, "RepoDigests": []}, "x") == ImageInfo(id="sha256:1")


def test_stored_images_are_those_with_names():
    nameless = {"RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "Size": 3}
    images = [
        {"Id": "1", "RepoTags": ["a:1", "b:2"], "RepoDigests": ["a@sha256:1"], "Size": 1},
        {"Id": "2", "RepoTags": None, "RepoDigests": None, "Size": 2},
        nameless,
        {"RepoTags": ["<none>:<none>"], "RepoDigests": ["c@sha256:3"], "Size": 4, "Id": "3"},
    ]
    assert convert.stored_images(images) == (
        StoredImage(id="1", names=("a@sha256:1", "a:1", "b:2"), size_bytes=1),
        StoredImage(id="3", names=("c@sha256:3",), size_bytes=4),
    )
