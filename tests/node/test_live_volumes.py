"""Volumes of a pod that runs: they follow their objects, the pod's labels, and the time of a token."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from tests.core.given import container, deleted, pod
from tests.fakes.node import LivingNode
from tests.fakes.virtual_time import T0, virtual_time
from vkprovider.core.tokens import Token
from vkprovider.errors import NotGranted
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, PodUID, TokenRef

CONFIG = ObjectRef("ConfigMap", "default", "c")
TOKEN = TokenRef("default", "default", "p", PodUID("u"), "", 3600)


def showing(source: dict[str, Any]) -> Pod:
    mount = {"name": "v", "mountPath": "/v"}
    return pod(container("app", volumeMounts=[mount]), volumes=[{"name": "v", **source}])


def shown(root: Path, path: str) -> str:
    """What is in a file of the volume, once there is one."""
    (found,) = root.glob("pods/u/volumes/*/v")
    return (found / path).read_text() if (found / path).exists() else "nothing"


def warnings(node: LivingNode) -> list[str]:
    return [message for reason, message in node.told.said if reason == "FailedMount"]


@virtual_time
async def test_an_object_that_changes_while_the_pod_runs(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    node.objects.put(CONFIG, {"data": {"key": "1"}})
    async with node.working(showing({"configMap": {"name": "c"}})) as worker:
        await node.told.until_phase("Running")
        for value in ("2", "3"):
            node.objects.put(CONFIG, {"data": {"key": value}})
            await node.told.until(lambda value=value: shown(tmp_path, "key") == value)
        node.objects.put(CONFIG, None)
        await node.told.until(lambda: len(warnings(node)) == 3)
        assert set(warnings(node)) == {'MountVolume.SetUp failed for volume "v" : configmap "c" not found'}
        assert (shown(tmp_path, "key"), node.told.status["phase"]) == ("3", "Running")
        node.objects.put(CONFIG, {"data": {"key": "4"}})
        await node.told.until(lambda: shown(tmp_path, "key") == "4")
        worker.update(deleted(worker.pod))
        await node.told.until(lambda: node.told.gone_pods)
        assert node.objects.followers[PodUID("u")][0] == frozenset()
    assert len(node.engine.calls("create")) == 2


@virtual_time
async def test_an_object_that_appears_starts_the_pod_at_once(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.working(showing({"configMap": {"name": "c"}})):
        await node.told.until(lambda: len(warnings(node)) == 8)
        before = node.clock.now()
        node.objects.put(CONFIG, {"data": {}})
        await node.told.until_phase("Running")
        assert node.clock.now() - before < timedelta(seconds=2)


@virtual_time
async def test_what_is_withheld_later_stays_as_it_was(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    other = ObjectRef("ConfigMap", "kube-system", "c")
    node.objects.error = NotGranted("not yours")
    async with node.working(showing({"configMap": {"name": "kube-system/c", "optional": True}})):
        await node.told.until(lambda: len(warnings(node)) == 3)
        assert set(warnings(node)) == {'MountVolume.SetUp failed for volume "v" : not yours'}
        node.objects.error = None
        node.objects.put(other, {"data": {"key": "1"}})
        await node.told.until_phase("Running")
        node.objects.error = NotGranted("not any more")
        node.objects.put(other, {"data": {"key": "2"}})
        await node.told.until(lambda: "VolumeNotRefreshed" in [reason for reason, _ in node.told.said])
        assert shown(tmp_path, "key") == "1"
    async with node.working(showing({"configMap": {"name": "kube-system/c"}})):  # the process after this one
        await node.told.until(lambda: [reason for reason, _ in node.told.said].count("VolumeNotRefreshed") == 2)
    assert (shown(tmp_path, "key"), len(warnings(node))) == ("1", 3)


@virtual_time
async def test_labels_that_change_while_the_pod_runs(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    given = showing({"downwardAPI": {"items": [item]}})
    async with node.working(given) as worker:
        await node.told.until_phase("Running")
        assert shown(tmp_path, "labels") == ""
        metadata = msgspec.structs.replace(given.metadata, labels={"a": "1"})
        worker.update(msgspec.structs.replace(given, metadata=metadata))
        await node.told.until(lambda: shown(tmp_path, "labels") == 'a="1"')


@virtual_time
async def test_a_token_is_replaced_when_its_time_has_come(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    renew_at = T0 + timedelta(seconds=400)
    node.objects.tokens[TOKEN] = Token(value="t0", renew_at=renew_at)
    async with node.working(showing({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})):
        await node.told.until_phase("Running")
        assert shown(tmp_path, "t") == "t0"
        node.objects.tokens[TOKEN] = Token(value="t1", renew_at=renew_at + timedelta(seconds=400))
        await node.told.until(lambda: shown(tmp_path, "t") == "t1")
        assert timedelta() <= node.clock.now() - renew_at < timedelta(seconds=1)
