"""Who we are to a real API server, what it refuses, and the smaller things that are asked of it."""

import asyncio
import json
from base64 import b64decode
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from kubernetes.aio.config import incluster_config

from integration.cluster.clients import Cluster
from integration.cluster.controlplane import ControlPlane
from tests.kube.quick_clock import QuickClock
from vkprovider.core.actions import PodEvent
from vkprovider.errors import ApiForbidden, ApiUnauthorized
from vkprovider.kube.client import ApiClient
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.references.objects import KubeObjects
from vkprovider.kube.references.services import Services
from vkprovider.kube.resources import EVENTS, PODS, SECRETS, Resource
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ObjectRef
from vkprovider.node.clock import SystemClock

from .joined import PATIENCE, container, manifest, running

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


async def test_objects_are_found_or_not(api: ApiClient, namespace: str) -> None:
    objects = KubeObjects(api, SystemClock(), Services())
    assert await objects.get(ObjectRef("Secret", namespace, "s")) is None
    await api.create(SECRETS.at(namespace), {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    found = await objects.get(ObjectRef("Secret", namespace, "s"))
    assert found is not None
    assert found["data"] == {"a": "Yg=="}


async def test_the_same_event_is_one_event_with_a_count(api: ApiClient, namespace: str, node: str) -> None:
    pod = decode_pod(await api.create(PODS.at(namespace), manifest("p", node, container("app"))))
    clock = SystemClock()
    recorder = EventRecorder(api, clock, node)
    for _ in range(3):
        recorder.record(pod, PodEvent(type="Warning", reason="Unhealthy", message="m", field_path="x"), clock.now())
    async with running(recorder.run()):
        await asyncio.wait_for(recorder.flush(), PATIENCE)
    found = (await api.list(EVENTS.at(namespace), {"fieldSelector": "reason=Unhealthy"}))["items"]
    assert [(event["count"], event["source"]["component"], event["source"]["host"]) for event in found] == [
        (3, "kubelet", node)
    ]


async def test_an_identity_that_may_not_is_told_what_it_lacks(control_plane: ControlPlane) -> None:
    api = ApiClient(SystemClock(), str(control_plane.identity("somebody")))
    with pytest.raises(ApiForbidden, match=r'^may not patch pods/status "p" in namespace default: grant it .*somebody'):
        await api.patch(PODS.at("default", "p", "status"), {})
    await api.aclose()


SELF = Resource("selfsubjectreviews", "authentication.k8s.io").at()


async def who(api: ApiClient) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    return str((await api.create(SELF, review))["status"]["userInfo"]["username"])


async def test_a_renewed_certificate_is_used_without_a_restart(control_plane: ControlPlane, tmp_path: Path) -> None:
    clock, path = QuickClock(), tmp_path / "kubeconfig"
    config = json.loads(control_plane.identity("before").read_text())
    user = config["users"][0]["user"]
    for name in ("client-certificate", "client-key"):
        (tmp_path / name).write_bytes(b64decode(user.pop(f"{name}-data")))
        user[name] = name  # beside the kubeconfig
    path.write_text(json.dumps(config))
    api = ApiClient(clock, str(path))
    assert await who(api) == "before"
    renewed = json.loads(control_plane.identity("after").read_text())["users"][0]["user"]
    for name in ("client-certificate", "client-key"):
        (tmp_path / name).write_bytes(b64decode(renewed[f"{name}-data"]))
    assert await who(api) == "before"
    clock.elapsed += 61
    assert await who(api) == "after"
    await api.aclose()


async def test_in_a_pod_the_service_account_is_who_we_are(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = urlsplit(control_plane.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(url.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(url.port))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    (tmp_path / "ca.crt").write_bytes(control_plane.ca)
    clock = QuickClock()
    api = ApiClient(clock)
    for account in (f"test-{uuid4().hex[:8]}", f"test-{uuid4().hex[:8]}"):
        await asyncio.to_thread(control_plane.kubectl, "create", "serviceaccount", account)
        token = await asyncio.to_thread(control_plane.kubectl, "create", "token", account)
        (tmp_path / "token").write_text(token)
        clock.elapsed += 61
        assert await who(api) == f"system:serviceaccount:default:{account}"
        await asyncio.to_thread(control_plane.kubectl, "delete", "serviceaccount", account)
    await api.aclose()


async def test_credentials_that_are_not_accepted_are_named(cluster: Cluster, tmp_path: Path) -> None:
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "expired"}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    api = ApiClient(SystemClock(), str(tmp_path / "kubeconfig"))
    with pytest.raises(ApiUnauthorized, match="cannot list pods: the API server does not accept the credentials"):
        await api.list(PODS.at())
    await api.aclose()
