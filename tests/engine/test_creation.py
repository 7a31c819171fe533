"""What a container's creation costs the engine."""

from __future__ import annotations

import msgspec

from tests.engine.scripted_engine import ScriptedEngine
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.model.create import ContainerCreate, Limits
from vkprovider.model.labels import POD_UID

INFO = {
    "ServerVersion": "20.10.24",
    "OSType": "linux",
    "Architecture": "x86_64",
    "KernelVersion": "6.1.0",
    "OperatingSystem": "Debian",
    "NCPU": 2,
    "MemTotal": 1 << 30,
    "CgroupDriver": "systemd",
}


async def test_whether_a_pod_can_be_limited_as_a_whole_is_asked_once(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    scripted.answers |= {"GET /info": INFO, "POST /containers/create": {"Id": "c"}}
    spec = ContainerCreate(name="one", image="i", labels={POD_UID: "u"}, pod_limits=Limits(memory=1 << 20))
    for name in ("one", "two"):
        assert await engine.create(msgspec.structs.replace(spec, name=name)) == "c"
    assert scripted.paths().count("/info") == 1
