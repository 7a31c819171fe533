"""What a pod asks for, seen from inside the containers that a real engine makes of it."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import stat
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.real_parts import missing
from vkprovider.core.actions import StartContainer
from vkprovider.core.create import Gathered, NodeFacts, plan_container, plan_sandbox
from vkprovider.core.env import Whereabouts, needed_objects, resolve_env
from vkprovider.core.objects import Objects
from vkprovider.core.projections import Fetched, NodeShare
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ContainerID, ObjectRef, PodUID
from vkprovider.node.clock import SystemClock
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.volume_writer import VolumeWriter

pytestmark = pytest.mark.docker

PATIENCE = 30  # seconds
MEMORY = 4 * 1024**3
SLEEP = ["sleep", "600"]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Busybox with a user of its own, and a directory with content where tests mount volumes."""
    name = f"vkprovider-test/settings:{uuid.uuid4().hex[:8]}"
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        missing("needs /bin/busybox (Debian: busybox-static)")
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    root = io.BytesIO()
    with tarfile.open(fileobj=root, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for applet in set(applets) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for path, text in {
            "etc/passwd": "root:x:0:0::/:/bin/sh\nalice:x:1000:1001::/:/bin/sh\n",
            "etc/group": "root:x:0:\nalice:x:1001:\nstaff:x:50:alice\n",
            "filled/of-the-image": "x",
        }.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    subprocess.run(["docker", "import", "-", name], input=root.getvalue(), check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "rmi", "-f", name], check=True, capture_output=True)


class Bench:
    """A pod on a real engine, made by hand of the plans, without any decision."""

    def __init__(self, engine: DockerEngine, image: str, root: Path) -> None:
        self.engine = engine
        self.image = image
        self.uid = PodUID(uuid.uuid4().hex)
        self.objects: Objects = {}
        self.dirs = PodDirs(str(root))
        writer = VolumeWriter(engine, self.dirs, SystemClock())
        self.files = PodFiles(self.dirs, writer, lambda: NodeShare(memory=MEMORY))
        self.node = NodeFacts(name=engine.node, memory=MEMORY)
        self.sandbox = ContainerID("")
        self.ips: tuple[str, ...] = ()

    def pod(self, *containers: dict[str, Any], **spec: Any) -> Pod:
        metadata = {"name": "web-0", "namespace": "shop", "uid": self.uid}
        return decode_pod({"metadata": metadata, "spec": {"containers": list(containers), **spec}})

    async def begin(self, pod: Pod) -> None:
        assert await self.files.prepare(pod, Fetched(objects=self.objects)) == ()
        mounts = self.files.sandbox_mounts(pod)
        plan = plan_sandbox(pod, self.node, 0, await self.engine.sandbox_image(), mounts)
        self.sandbox = await self.engine.create(plan)
        await self.engine.start(self.sandbox)
        (sandbox,) = (await self.engine.observe(self.uid)).sandboxes
        self.ips = sandbox.ips

    async def start(self, pod: Pod, name: str = "app", attempt: int = 0) -> ContainerID:
        (container,) = (c for c in pod.spec.containers if c.name == name)
        needed = {ref: self.objects[ref] for ref in needed_objects(pod, container)}
        where = Whereabouts(node_name=self.engine.node, host_ip="127.0.0.1", pod_ips=self.ips)
        env = resolve_env(pod, container, needed, where)
        mounts = await self.files.container_mounts(pod, container, attempt, dict(env), self.ips)
        found = await self.engine.image(self.image)
        assert found is not None
        begun = StartContainer(key=name, attempt=attempt, sandbox_id=self.sandbox, image_id=found.id, backoff_seconds=0)
        gathered = Gathered(image_user=found.user, env=env, mounts=mounts)
        created = await self.engine.create(plan_container(pod, container, begun, self.node, gathered))
        await self.engine.start(created)
        return created

    async def run(self, script: str, spec: dict[str, Any] | None = None, **fields: Any) -> list[str]:
        """What a shell script prints in the one container of a new pod."""
        pod = self.pod({"name": "app", "command": ["sh", "-c", script], **fields}, **(spec or {}))
        await self.begin(pod)
        return await self.output(await self.start(pod))

    async def output(self, container: ContainerID) -> list[str]:
        """All that a container has printed once it has ended."""
        async with asyncio.timeout(PATIENCE):
            lines = [line.data.decode() async for line in self.engine.logs(container, follow=True)]
        return "".join(lines).splitlines()

    async def inside(self, container: ContainerID, script: str) -> list[str]:
        result = await self.engine.exec(container, ["sh", "-c", script], PATIENCE)
        return result.output.decode().splitlines()

    async def end(self) -> None:
        observed = await self.engine.observe(self.uid)
        for target in (*observed.containers, *observed.sandboxes):
            await self.engine.remove(target.id)
        await self.files.remove(self.uid)


@pytest.fixture
async def bench(image: str, tmp_path: Path) -> AsyncIterator[Bench]:
    engine = DockerEngine(f"test-settings-{uuid.uuid4().hex[:8]}")
    made = Bench(engine, image, tmp_path)
    yield made
    await made.end()
    assert not (tmp_path / "pods" / made.uid).exists()
    await engine.close()


async def test_user_and_groups(bench: Bench) -> None:
    spec = {"securityContext": {"runAsUser": 1000, "fsGroup": 2000, "supplementalGroups": [4000]}}
    assert await bench.run("id -u; id -g; id -G", spec, securityContext={"runAsGroup": 3000}) == [
        "1000",
        "3000",
        "3000 2000 4000",
    ]


async def test_a_user_alone_has_the_groups_the_image_gives_it(bench: Bench) -> None:
    user, group, groups = await bench.run("id -u; id -g; id -G", securityContext={"runAsUser": 1000})
    assert (user, group, set(groups.split())) == ("1000", "1001", {"1001", "50"})


async def test_capabilities_privileges_and_seccomp(bench: Bench) -> None:
    context = {
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "allowPrivilegeEscalation": False,
    }
    found = await bench.run("grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status", securityContext=context)
    assert [line.split() for line in found] == [
        ["CapBnd:", "0000000000000400"],
        ["NoNewPrivs:", "1"],
        ["Seccomp:", "0"],
    ]


async def test_a_privileged_container_may_do_anything(bench: Bench) -> None:
    (found,) = await bench.run("grep CapBnd /proc/self/status", securityContext={"privileged": True})
    assert int(found.split()[1], 16) & 1 << 21  # CAP_SYS_ADMIN


async def test_the_root_file_system_can_be_read_only(bench: Bench) -> None:
    script = "touch /x 2>&1; touch /data/x && ls /data"
    spec = {"volumes": [{"name": "data", "emptyDir": {}}]}
    fields = {
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    assert await bench.run(script, spec, **fields) == ["touch: /x: Read-only file system", "x"]


async def test_hostname_hosts_and_resolver(bench: Bench) -> None:
    spec = {
        "subdomain": "db",
        "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["alias"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["9.9.9.9"], "options": [{"name": "ndots", "value": "3"}]},
    }
    found = await bench.run("hostname; cat /etc/hostname /etc/resolv.conf /etc/hosts", spec)
    assert found[:2] == ["web-0", "web-0"]
    assert [line for line in found if line.startswith("nameserver")] == ["nameserver 9.9.9.9"]
    assert not [line for line in found if line.startswith("search")]
    assert "options ndots:3" in found
    assert not [line for line in found if line.startswith("options") and line != "options ndots:3"]
    hosts = found[found.index("# Kubernetes-managed hosts file.") :]
    own = [f"{ip}\tweb-0.db.shop.svc.cluster.local\tweb-0" for ip in bench.ips]
    assert [line for line in hosts if line.endswith("\tweb-0")] == own
    assert own
    assert hosts[-2:] == ["# Entries added by HostAliases.", "1.2.3.4\talias"]


@pytest.fixture
def plain_resolv_conf(image: str) -> list[str]:
    """What the engine gives to a container that says nothing about DNS."""
    command = ["docker", "run", "--rm", image, "cat", "/etc/resolv.conf"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


async def test_dns_without_anything_of_its_own_is_the_engines(bench: Bench, plain_resolv_conf: list[str]) -> None:
    assert await bench.run("cat /etc/resolv.conf") == plain_resolv_conf


async def test_on_the_nodes_network(bench: Bench) -> None:
    found = await bench.run("hostname; cat /etc/hosts; ls /sys/class/net", {"hostNetwork": True})
    assert found[:2] == [os.uname().nodename, "# Kubernetes-managed hosts file (host network)."]
    assert set(os.listdir("/sys/class/net")) <= set(found)


async def test_limits(bench: Bench) -> None:
    limits = {"cpu": "250m", "memory": "32Mi"}
    script = """
    cd /sys/fs/cgroup
    if [ -e memory.max ]; then cat memory.max cpu.max memory.swap.max
    else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares; fi
    cat /proc/self/oom_score_adj
    """
    resources = {"limits": limits, "requests": {"cpu": "100m", "memory": "16Mi"}}
    memory, *cpu, score = await bench.run(script, resources=resources)
    assert memory == str(32 * 1024**2)
    assert cpu in (["25000", "100000", "102"], ["25000 100000", "0"])
    assert score == str(1000 - 1000 * 16 * 1024**2 // MEMORY)


async def test_without_limits_there_is_none(bench: Bench) -> None:
    script = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null; cat /proc/self/oom_score_adj"
    quota, score = await bench.run(script)
    assert (quota.split()[0] in ("-1", "max"), score) == (True, "1000")


async def test_environment_command_and_arguments(bench: Bench) -> None:
    bench.objects = {
        ObjectRef("ConfigMap", "shop", "c"): {"data": {"A": "from config"}},
        ObjectRef("Secret", "shop", "s"): {"data": {"k": "aGlkZGVu"}},
    }
    env = [
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "C", "value": "$(A)/$(B)"},
    ]
    pod = bench.pod(
        {
            "name": "app",
            "command": ["sh", "-c", 'echo "$0|$1|$C|$IP"; pwd'],
            "args": ["$(C)", "$$(C) $(NONE)"],
            "env": env,
            "envFrom": [{"configMapRef": {"name": "c"}}],
            "workingDir": "/srv",
        }
    )
    await bench.begin(pod)
    found = await bench.output(await bench.start(pod))
    assert found == [f"from config/hidden|$(C) $(NONE)|from config/hidden|{bench.ips[0]}", "/srv"]


def memory_volume(**more: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}], **more}


async def test_empty_dir_in_memory_outlives_its_containers(bench: Bench) -> None:
    mount = {"volumeMounts": [{"name": "m", "mountPath": "/filled"}]}
    first = {"name": "first", "command": ["sh", "-c", "ls /filled; echo kept > /filled/file"], **mount}
    script = "cat /filled/file; stat -c %a /filled; grep ' /filled ' /proc/mounts; df -k /filled | tail -1"
    second = {"name": "second", "command": ["sh", "-c", script], **mount}
    pod = bench.pod(first, second, **memory_volume())
    await bench.begin(pod)
    writer = await bench.start(pod, "first")
    assert await bench.output(writer) == []  # nothing of what the image has there
    await bench.engine.remove(writer)
    kept, mode, mounted, size = await bench.output(await bench.start(pod, "second"))
    assert (kept, mode) == ("kept", "1777")
    assert mounted.split()[:3] == ["tmpfs", "/filled", "tmpfs"]
    assert size.split()[1] == "1024"


async def test_volumes_belong_to_the_group(bench: Bench) -> None:
    bench.objects = {ObjectRef("Secret", "shop", "s"): {"data": {"k": "aGlkZGVu"}}}
    volumes = [
        {"name": "m", "emptyDir": {"medium": "Memory"}},
        {"name": "d", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}},
    ]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("m", "d", "s")]
    script = "touch /m/x /d/x; stat -c '%g %a' /m /d; stat -c %g /m/x /d/x; cat /s/k; touch /s/x 2>&1"
    spec = {"volumes": volumes, "securityContext": {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000}}
    assert await bench.run(script, spec, volumeMounts=mounts) == [
        "2000 3777",
        "2000 2777",
        "2000",
        "2000",
        "hiddentouch: /s/x: Read-only file system",
    ]


async def test_an_update_of_a_config_map_is_seen_by_a_running_container(bench: Bench) -> None:
    ref = ObjectRef("ConfigMap", "shop", "c")
    bench.objects = {ref: {"data": {"a": "old", "gone": "x"}}}
    mounts = [
        {"name": "c", "mountPath": "/c"},
        {"name": "c", "mountPath": "/pinned", "subPath": "a"},
    ]
    pod = bench.pod(
        {"name": "app", "command": SLEEP, "volumeMounts": mounts}, volumes=[{"name": "c", "configMap": {"name": "c"}}]
    )
    await bench.begin(pod)
    running = await bench.start(pod)
    script = "cat /c/a; echo; cat /pinned; echo; ls /c"
    assert await bench.inside(running, script) == ["old", "old", "a", "gone"]
    bench.objects = {ref: {"data": {"a": "new", "b": "y"}}}
    assert await bench.files.prepare(pod, Fetched(objects=bench.objects)) == ()
    assert await bench.inside(running, script) == ["new", "old", "a", "b"]


async def test_host_path_and_sub_path(bench: Bench, tmp_path: Path) -> None:
    volumes = [{"name": "h", "hostPath": {"path": str(tmp_path / "made"), "type": ""}}]
    mounts = [{"name": "h", "mountPath": "/all"}, {"name": "h", "mountPath": "/part", "subPath": "a/b"}]
    assert await bench.run("echo hi > /part/file; cat /all/a/b/file", {"volumes": volumes}, volumeMounts=mounts) == [
        "hi"
    ]
    assert (tmp_path / "made" / "a" / "b" / "file").read_text() == "hi\n"


async def test_processes_can_be_shared(bench: Bench) -> None:
    spec = {"shareProcessNamespace": True}
    assert await bench.run("cat /proc/1/comm; echo $$ | grep -vx 1 | wc -l", spec) == ["sandbox", "1"]
    (state,) = (await bench.engine.observe(bench.uid)).containers
    assert state.name == "app"


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


async def test_host_ports_are_open_on_the_node(bench: Bench, free_port: int) -> None:
    script = "mkdir /www; echo served > /www/index.html; httpd -p 80 -h /www; echo up; sleep 600"
    ports = [{"containerPort": 80, "hostPort": free_port, "hostIP": "127.0.0.1"}]
    pod = bench.pod({"name": "app", "command": ["sh", "-c", script], "ports": ports})
    await bench.begin(pod)
    started = await bench.start(pod)
    async with asyncio.timeout(PATIENCE):
        up = await anext(bench.engine.logs(started, follow=True))
        assert up.data == b"up\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert b"served" in await reader.read()
        writer.close()


async def test_the_last_words_of_a_container_are_read(bench: Bench) -> None:
    pod = bench.pod({"name": "app", "command": ["sh", "-c", "echo -n bye > /dev/termination-log; exit 3"]})
    await bench.begin(pod)
    assert await bench.output(await bench.start(pod)) == []
    assert bench.files.termination_message(pod, "app", 0) == "bye"


async def test_the_engine_gives_to_a_group_and_removes_what_root_left(bench: Bench, tmp_path: Path) -> None:
    """What an ordinary user leaves to the engine, whoever runs the test."""
    volume = tmp_path / "volume"
    (volume / "below").mkdir(parents=True, mode=0o700)
    await bench.engine.run_tool(["own", "2000", str(volume)], str(tmp_path))
    below = (volume / "below").stat()
    assert (below.st_gid, stat.S_IMODE(below.st_mode)) == (2000, 0o2770)
    await bench.engine.run_tool(["remove", str(volume)], str(tmp_path))
    assert os.listdir(tmp_path) == []
