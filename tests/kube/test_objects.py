from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.pods import pod
from vkprovider.core.record import PodRecord
from vkprovider.errors import ApiForbidden
from vkprovider.kube.client import ApiClient
from vkprovider.kube.lasting_checkpoint import LastingCheckpoint
from vkprovider.kube.objects import KubeObjects
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ObjectRef, PodUID
from vkprovider.node.checkpoint import FileCheckpoint


@pytest.mark.parametrize(("kind", "plural"), [("ConfigMap", "configmaps"), ("Secret", "secrets")])
async def test_objects_are_got_as_they_are_now(server: FakeApiServer, api: ApiClient, kind: str, plural: str) -> None:
    objects, ref = KubeObjects(api), ObjectRef(kind, "default", "c")
    assert await objects.get(ref) is None
    raw: dict[str, Any] = {"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1"}}
    server.store.put(plural, raw)
    found = await objects.get(ref)
    assert found is not None
    assert found["data"] == {"a": "1"}
    server.fail("get", plural, 403)
    with pytest.raises(ApiForbidden, match=f'may not get {plural} "c" in namespace default'):
        await objects.get(ref)


async def test_a_checkpoint_outlasts_its_pod_until_its_end_is_known(tmp_path: Path) -> None:
    files = FileCheckpoint(tmp_path)
    lasting, web, uid = LastingCheckpoint(files), decode_pod(pod("web", uid="u1")), PodUID("u1")
    await asyncio.to_thread(lasting.save, uid, PodRecord(), web)
    await asyncio.to_thread(lasting.delete, uid)
    assert set(files.load_all()) == {uid}
    await lasting.forget(uid)
    assert files.load_all() == {}
