"""What projected volumes show of authorities and of certificates of pods' own, on an API server that has both."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from vkprovider.kube.certificates.signing import CertificateNotIssued
from vkprovider.kube.client import ApiClient
from vkprovider.kube.references.certificate_requests import CertificateRequests
from vkprovider.kube.references.pod_certificates import PodCertificates
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ObjectRef
from vkprovider.node.clock import SystemClock

from .binaries import find_binaries
from .controlplane import ControlPlane
from .identities import DEPLOY, service_account
from .nodes import NodeProcess, make_image, on, shell
from .pod_signer import REFRESH, PodSigner, matches, new_authority, pem, put_bundle
from .showing import apply, events_of, pod
from .test_volumes import text
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

GATES = ("ClusterTrustBundle", "ClusterTrustBundleProjection", "PodCertificateRequest")
SIGNER = "example.com/pods"
IDLE = "sleep 1000"
AT_ONCE = {"terminationGracePeriodSeconds": 0}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    version = subprocess.check_output([find_binaries() / "kube-apiserver", "--version"], text=True)
    minor = int(version.split(".")[1])
    if minor < 34:
        pytest.skip("certificates of pods came with 1.34")
    gates = "--feature-gates=" + ",".join(f"{gate}=true" for gate in GATES)
    kinds = ("v1beta1/clustertrustbundles", f"v1{'alpha' if minor == 34 else 'beta'}1/podcertificaterequests")
    config = "--runtime-config=" + ",".join(f"certificates.k8s.io/{kind}=true" for kind in kinds)
    with ControlPlane.start(flags={"kube-apiserver": [gates, config]}) as plane:
        yield plane


@pytest.fixture(scope="module")
def node(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    make_image()
    name, folder = f"node-{uuid4().hex[:8]}", tmp_path_factory.mktemp("node")
    with ExitStack() as stack:
        if os.environ.get("VKPROVIDER_TEST_IDENTITY") == "node":
            plane.kubectl("apply", f"--filename={DEPLOY / 'rbac-kubelet-api.yaml'}")
            access = plane.node_identity
        else:
            access = stack.enter_context(service_account(plane, folder))
        yield stack.enter_context(NodeProcess(plane, name, folder, access))


@pytest.fixture(scope="module")
def signer(plane: ControlPlane) -> PodSigner:
    return PodSigner(plane, SIGNER)


class Shown:
    """A pod of the node with one projected volume, and its files as they lie on the machine."""

    def __init__(self, plane: ControlPlane, node: NodeProcess, name: str) -> None:
        self.plane = plane
        self.name = name
        self._node = node

    def create(self, *sources: dict[str, Any], script: str = IDLE, **spec: Any) -> None:
        volume = {"name": "mine", "projected": {"sources": list(sources)}}
        app = shell("app", script, volumeMounts=[{"name": "mine", "mountPath": "/mine"}])
        apply(self.plane, "default", pod(self.name, on(self._node.name, app, volumes=[volume], **AT_ONCE, **spec)))

    def until(self, phase: str) -> None:
        self.plane.kubectl("wait", f"pod/{self.name}", f"--for=jsonpath={{.status.phase}}={phase}", "--timeout=30s")

    @property
    def uid(self) -> str:
        return str(self.plane.get("pod", self.name)["metadata"]["uid"])

    @property
    def files(self) -> Path:
        volumes = "volumes/kubernetes.io~projected/mine"
        return self._node.folder / "nodes" / self._node.name / "pods" / self.uid / volumes

    def told(self) -> str:
        """What the container has left as its last word."""
        (status,) = self.plane.get("pod", self.name)["status"]["containerStatuses"]
        return str(status["state"]["terminated"]["message"])

    def complaints(self) -> list[str]:
        found = events_of(self.plane, "default", self.name)
        return [message for reason, message in found if reason == "FailedMount"]

    def delete(self) -> None:
        self.plane.kubectl("delete", "pod", self.name, "--timeout=30s")


def certificate(kind: str = "ED25519", **paths: str) -> dict[str, Any]:
    return {"podCertificate": {"signerName": SIGNER, "keyType": kind, "maxExpirationSeconds": 7200, **paths}}


def trust(path: str, **how: Any) -> dict[str, Any]:
    return {"clusterTrustBundle": {"path": path, **how}}


def holding(words: str, folder: Path) -> list[str]:
    """The files that have these words in them."""
    command = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", words, folder]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.split()


def test_authorities_by_name_and_by_signer_follow_their_bundles(plane: ControlPlane, node: NodeProcess) -> None:
    one, two, three = (new_authority(name)[0] for name in ("one", "two", "three"))
    put_bundle(plane, "plain", pem(one))
    put_bundle(plane, "example.com:pods:a", pem(two, one), SIGNER, live="yes")
    put_bundle(plane, "example.com:pods:b", pem(three), SIGNER)
    live = {"matchLabels": {"live": "yes"}}
    shown = Shown(plane, node, "trusting")
    shown.create(
        trust("name.pem", name="plain"),
        trust("live.pem", signerName=SIGNER, labelSelector=live),
        trust("all.pem", signerName=SIGNER, labelSelector={}),
        trust("none.pem", signerName=SIGNER, optional=True),
        trust("absent.pem", name="absent", optional=True),
    )
    shown.until("Running")

    def seen(file: str) -> set[str]:
        blocks = text(shown.files / file).split("-----END CERTIFICATE-----\n")
        return {f"{block}-----END CERTIFICATE-----\n" for block in blocks if block}

    assert seen("name.pem") == {pem(one)}
    assert seen("live.pem") == {pem(one), pem(two)}
    assert seen("all.pem") == {pem(one), pem(two), pem(three)}
    assert {name: (shown.files / name).stat().st_size for name in ("none.pem", "absent.pem")} == {
        "none.pem": 0,
        "absent.pem": 0,
    }
    assert {path.stat().st_mode & 0o777 for path in shown.files.glob("*.pem")} == {0o644}
    put_bundle(plane, "plain", pem(two))
    put_bundle(plane, "example.com:pods:b", pem(three), SIGNER, live="yes")
    put_bundle(plane, "absent", pem(three))
    eventually(lambda: seen("name.pem") == {pem(two)}, 5)
    eventually(lambda: len(seen("live.pem")) == 3, 5)
    eventually(lambda: seen("absent.pem") == {pem(three)}, 5)
    shown.delete()


def test_a_pod_waits_for_its_authorities(plane: ControlPlane, node: NodeProcess) -> None:
    shown = Shown(plane, node, "waiting")
    other = "example.com/later"
    script = "stat -Lc '%a %u' /mine/*.pem >/dev/termination-log"
    sources = trust("name.pem", name="later"), trust("all.pem", signerName=other, labelSelector={})
    shown.create(*sources, script=script, securityContext={"runAsUser": 1234})
    missing = 'while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "later" not found'
    unmatched = "combination of signerName and labelSelector matched zero ClusterTrustBundles"
    complaint = f'MountVolume.SetUp failed for volume "mine" : [{missing}, {unmatched}]'
    eventually(lambda: complaint in shown.complaints(), 20)
    put_bundle(plane, "later", pem(new_authority("later")[0]))
    put_bundle(plane, "example.com:later:a", pem(new_authority("a")[0]), other)
    shown.until("Succeeded")
    assert shown.told().split("\n") == ["600 1234", "600 1234", ""]
    shown.delete()


def test_a_certificate_of_the_pods_own(plane: ControlPlane, node: NodeProcess, signer: PodSigner) -> None:
    shown = Shown(plane, node, "certified")
    paths = {"credentialBundlePath": "both.pem", "keyPath": "key.pem", "certificateChainPath": "chain.pem"}
    others = [certificate(kind, credentialBundlePath=f"{kind}.pem") for kind in ("RSA3072", "ECDSAP384")]
    shown.create(certificate("ECDSAP521", **paths), *others)
    request = signer.pending(shown.name)
    mine = plane.get("pod", shown.name)
    spec, account = request["spec"], plane.get("serviceaccount", "default")["metadata"]["uid"]
    assert (spec["podUID"], spec["serviceAccountUID"]) == (mine["metadata"]["uid"], account)
    assert (spec["nodeName"], spec["maxExpirationSeconds"]) == (node.name, 7200)
    assert [each["uid"] for each in request["metadata"]["ownerReferences"]] == [mine["metadata"]["uid"]]
    waits = f'{request["metadata"]["name"]}" in namespace default waits for its signer, {SIGNER}'
    eventually(lambda: any(waits in message for message in shown.complaints()), 20)
    chains = {signer.issue(request), signer.issue(signer.pending(shown.name)), signer.issue(signer.pending(shown.name))}
    shown.until("Running")
    key, chain, both = (text(shown.files / name) for name in ("key.pem", "chain.pem", "both.pem"))
    assert both == key + chain
    assert key.startswith("-----BEGIN PRIVATE KEY-----")
    bundles = [text(path) for path in (shown.files / "both.pem", *shown.files.glob("[RE]*.pem"))]
    assert {bundle[bundle.index("-----BEGIN CERT") :] for bundle in bundles} == chains
    assert all(matches(bundle, bundle[bundle.index("-----BEGIN CERT") :]) for bundle in bundles)
    assert {path.stat().st_mode & 0o777 for path in shown.files.glob("*.pem")} == {0o644}
    where, memory = shown.files.resolve(), str(node.folder / "nodes" / node.name / "memory")
    assert subprocess.check_output(["stat", "--file-system", "--format=%T", where], text=True) == "tmpfs\n"
    assert {path.startswith(memory) for path in holding(key.split("\n")[1], node.folder)} == {True}
    shown.delete()
    eventually(lambda: not where.parent.exists())
    assert holding(key.split("\n")[1], node.folder) == []


def test_a_pod_whose_certificate_is_denied_is_told(plane: ControlPlane, node: NodeProcess, signer: PodSigner) -> None:
    shown = Shown(plane, node, "denied")
    shown.create(certificate(keyPath="key.pem"))
    signer.deny(signer.pending(shown.name))
    why = 'PodCertificateRequest was permanently denied: reason="Tested" message="by a test"'
    eventually(lambda: f'MountVolume.SetUp failed for volume "mine" : {why}' in shown.complaints(), 20)
    assert len(signer.requests(shown.name)) == 1
    shown.delete()


def test_a_process_that_is_killed_leaves_what_is_valid(
    plane: ControlPlane, node: NodeProcess, signer: PodSigner
) -> None:
    """The next one asks anew, and the pod has the old credential until it has another."""
    shown = Shown(plane, node, "surviving")
    shown.create(certificate(credentialBundlePath="both.pem"))
    first = signer.pending(shown.name)
    chain = signer.issue(first)
    shown.until("Running")
    before = text(shown.files / "both.pem")
    node.kill()
    node.start()
    request = signer.pending(shown.name)
    assert request["metadata"]["name"] != first["metadata"]["name"]
    assert before.endswith(chain)
    assert text(shown.files / "both.pem") == before
    second = signer.issue(request)
    eventually(lambda: text(shown.files / "both.pem").endswith(second))
    assert matches(text(shown.files / "both.pem"), second)
    status = plane.get("pod", shown.name)["status"]
    assert (status["phase"], status["containerStatuses"][0]["restartCount"]) == ("Running", 0)
    shown.delete()


class AheadClock(SystemClock):
    """The machine's clock, which a test sets ahead: then whoever waits looks again."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._set = asyncio.Event()

    def now(self) -> datetime:
        return super().now() + self._ahead

    def advance(self, by: timedelta) -> None:
        self._ahead += by
        self._set.set()
        self._set = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._set.wait(), seconds)
        except TimeoutError:
            return


async def test_a_certificate_is_replaced_in_time(plane: ControlPlane, signer: PodSigner) -> None:
    """No API server takes one that is due before ten minutes are over: here it is the clock that goes faster."""
    name = f"node-{uuid4().hex[:8]}"
    uid = (await made(plane, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}))["metadata"]["uid"]
    spec = {"nodeName": name, "containers": [{"name": "app", "image": "i"}], "volumes": [OWN]}
    raw = await made(plane, pod("refreshed", spec | {"terminationGracePeriodSeconds": 0}))
    api, clock, told = ApiClient(SystemClock(), str(plane.node_identity(name))), AheadClock(), asyncio.Event()
    certificates = PodCertificates(CertificateRequests(api, SystemClock(), name, lambda: uid), clock)
    mine, ref = decode_pod(raw), ObjectRef("PodCertificate", "default", "own/0")
    try:
        certificates.follow(mine, frozenset({ref}), lambda _: told.set())
        first = await asyncio.to_thread(lambda: signer.issue(signer.pending("refreshed")))
        await asyncio.wait_for(told.wait(), 30)
        before = await certificates.get(ref, mine)
        assert before["certificateChain"] == first
        told.clear()
        clock.advance(REFRESH + timedelta(minutes=6))
        request = await asyncio.to_thread(signer.pending, "refreshed")
        assert await certificates.get(ref, mine) == before
        second = await asyncio.to_thread(signer.issue, request)
        await asyncio.wait_for(told.wait(), 30)
        after = await certificates.get(ref, mine)
        assert after["certificateChain"] == second
        assert after["key"] != before["key"]
        assert matches(after["key"], second)
        clock.advance(REFRESH + timedelta(minutes=6))
        told.clear()
        await asyncio.to_thread(lambda: signer.deny(signer.pending("refreshed")))
        await asyncio.wait_for(told.wait(), 30)
        with pytest.raises(CertificateNotIssued, match="permanently denied"):
            await certificates.get(ref, mine)
    finally:
        await certificates.aclose()
        await api.aclose()
        await asyncio.to_thread(plane.kubectl, "delete", "pod/refreshed", f"node/{name}", "--wait=false")


OWN = {"name": "own", "projected": {"sources": [certificate("ECDSAP256", keyPath="key.pem")]}}


async def made(plane: ControlPlane, raw: dict[str, Any]) -> dict[str, Any]:
    """The object as the API server has it."""
    answer = await asyncio.to_thread(plane.kubectl, "create", "--filename=-", "--output=json", stdin=json.dumps(raw))
    found: dict[str, Any] = json.loads(answer)
    return found
