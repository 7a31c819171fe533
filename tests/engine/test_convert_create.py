from __future__ import annotations

from typing import Any

import pytest

from vkprovider.engine import convert
from vkprovider.model.create import ContainerCreate, DeviceMapping, Limits, Mount, PortBinding

ALWAYS: dict[str, Any] = {
    "Image": "busybox",
    "Labels": {"a": "b"},
    "Healthcheck": {"Test": ["NONE"]},
    "HostConfig": {
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": "10485760", "max-file": "5", "compress": "false"},
        },
        "Init": False,
        "CpuShares": 2,
        "OomScoreAdj": 1000,
    },
}


def body(**spec: Any) -> dict[str, Any]:
    return convert.create_body(ContainerCreate(name="n", image="busybox", labels={"a": "b"}, **spec))


# --- creating ---------------------------------------------------------------------------------------------------


def test_a_bare_container():
    assert body() == ALWAYS


def test_a_container_in_the_cgroup_of_its_pod():
    made = convert.create_body(ContainerCreate(name="n", image="busybox", labels={}), "/vkprovider/podu")
    assert made["HostConfig"]["CgroupParent"] == "/vkprovider/podu"


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"entrypoint": ("sh", "-c"), "args": ("x",)}, {"Entrypoint": ["sh", "-c"], "Cmd": ["x"]}),
        ({"entrypoint": ("sh",), "args": ()}, {"Entrypoint": ["sh"], "Cmd": []}),
        ({"args": ("x",)}, {"Cmd": ["x"]}),
        ({"env": ("A=1", "B=")}, {"Env": ["A=1", "B="]}),
        ({"working_dir": "/w"}, {"WorkingDir": "/w"}),
        ({"user": "1:2"}, {"User": "1:2"}),
        ({"tty": True, "stdin": True, "stdin_once": True}, {"Tty": True, "OpenStdin": True, "StdinOnce": True}),
        ({"hostname": "h"}, {"Hostname": "h"}),
        ({"stop_signal": "SIGINT"}, {"StopSignal": "SIGINT"}),
    ],
)
def test_what_concerns_the_process(spec: dict[str, Any], fields: dict[str, Any]):
    assert body(**spec) == ALWAYS | fields


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"groups": ("1", "2")}, {"GroupAdd": ["1", "2"]}),
        (
            {"devices": (DeviceMapping(source="/dev/a", target="/dev/b", access="r"),)},
            {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]},
        ),
        (
            {"gpus": ("0", "GPU-8a")},
            {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["0", "GPU-8a"], "Capabilities": [["gpu"]]}]},
        ),
        ({"network": "container:abc"}, {"NetworkMode": "container:abc"}),
        ({"ipc": "shareable"}, {"IpcMode": "shareable"}),
        ({"pid": "container:abc"}, {"PidMode": "container:abc"}),
        ({"uts": "host"}, {"UTSMode": "host"}),
        ({"privileged": True}, {"Privileged": True}),
        ({"read_only_root": True}, {"ReadonlyRootfs": True}),
        ({"cap_add": ("NET_ADMIN",), "cap_drop": ("ALL",)}, {"CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"]}),
        ({"security_opts": ("seccomp=unconfined",)}, {"SecurityOpt": ["seccomp=unconfined"]}),
        ({"unmasked": True}, {"MaskedPaths": [], "ReadonlyPaths": []}),
        ({"sysctls": {"net.ipv4.tcp_syncookies": "1"}}, {"Sysctls": {"net.ipv4.tcp_syncookies": "1"}}),
        (
            {"dns_searches": ("x.y",), "dns_options": ("ndots:5",)},
            {"DnsSearch": ["x.y"], "DnsOptions": ["ndots:5"]},
        ),
        ({"limits": Limits(memory=1 << 20)}, {"Memory": 1 << 20, "MemorySwap": 1 << 20}),
        ({"limits": Limits(cpu_quota=50_000)}, {"CpuQuota": 50_000, "CpuPeriod": 100_000}),
        ({"limits": Limits(cpu_shares=512)}, {"CpuShares": 512}),
        ({"limits": Limits(pids=100)}, {"PidsLimit": 100}),
        ({"limits": Limits(oom_score_adj=-997)}, {"OomScoreAdj": -997}),
    ],
)
def test_what_concerns_the_host(spec: dict[str, Any], fields: dict[str, Any]):
    assert body(**spec) == ALWAYS | {"HostConfig": ALWAYS["HostConfig"] | fields}


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (
            Mount(source="/a:b", target="/c"),
            {
                "Type": "bind",
                "Source": "/a:b",
                "Target": "/c",
                "ReadOnly": False,
                "BindOptions": {},
            },
        ),
        (
            Mount(source="/a", target="/c", read_only=True, propagation="rslave"),
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/c",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rslave", "ReadOnlyNonRecursive": True},
            },
        ),
        (
            Mount(source="/a", target="/c", read_only=True, recursive_read_only=True),
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/c",
                "ReadOnly": True,
                "BindOptions": {"ReadOnlyForceRecursive": True},
            },
        ),
        (
            Mount(source="vol", target="/c", volume=True),
            {
                "Type": "volume",
                "Source": "vol",
                "Target": "/c",
                "ReadOnly": False,
                "VolumeOptions": {"NoCopy": True},
            },
        ),
        (
            Mount(source="sha256:1", target="/c", image=True),
            {"Type": "image", "Source": "sha256:1", "Target": "/c", "ReadOnly": True},
        ),
        (
            Mount(source="sha256:1", target="/c", image=True, sub_path="a/b"),
            {
                "Type": "image",
                "Source": "sha256:1",
                "Target": "/c",
                "ReadOnly": True,
                "ImageOptions": {"Subpath": "a/b"},
            },
        ),
    ],
)
def test_mounts(mount: Mount, expected: dict[str, Any]):
    assert body(mounts=(mount,))["HostConfig"]["Mounts"] == [expected]


def test_an_image_that_is_mounted_twice_is_called_otherwise_the_second_time():
    mounts = tuple(Mount(source=source, target="/c", image=True) for source in ("sha256:123", "sha256:9", "sha256:123"))
    made = body(mounts=mounts)["HostConfig"]["Mounts"]
    assert [mount["Source"] for mount in made] == ["sha256:123", "sha256:9", "sha256:12"]


def test_ports_are_exposed_and_bound():
    ports = (
        PortBinding(container_port=80, host_port=8080),
        PortBinding(container_port=80, host_port=8081, host_ip="127.0.0.1"),
        PortBinding(container_port=53, host_port=5353, protocol="udp"),
    )
    made = body(ports=ports)
    assert made["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}],
        "53/udp": [{"HostIp": "", "HostPort": "5353"}],
    }


# --- updating ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(cpu_shares=102), {"CpuShares": 102}),
        (Limits(cpu_shares=2, cpu_quota=5000), {"CpuShares": 2, "CpuQuota": 5000, "CpuPeriod": 100_000}),
        (Limits(cpu_shares=2, memory=77), {"CpuShares": 2, "Memory": 77, "MemorySwap": 77}),
    ],
)
def test_an_update_says_nothing_of_what_has_no_limit(limits: Limits, expected: dict[str, int]):
    assert convert.update_body(limits) == expected
