"""The policy in deploy/sidecarset, which does without a server what the webhook does first, on a real API server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tests.sidecarset.destinations import CASES, LABELLED, is_as_it_should_be

from .controlplane import ControlPlane
from .identities import DEPLOY
from .waiting import eventually
from .webhooks import admitted

pytestmark = pytest.mark.cluster

POLICY = DEPLOY / "sidecarset" / "mutating-admission-policy.yaml"
BETA, FINAL = "v1beta1", "v1"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane that has such policies, and needs to be told so before they are v1."""
    group = f"admissionregistration.k8s.io/{BETA}=true"
    flags = ["--feature-gates=MutatingAdmissionPolicy=true", f"--runtime-config={group}"]
    with ControlPlane.start(flags={"kube-apiserver": flags}) as own:
        yield own


@pytest.fixture(scope="module")
def inside(plane: ControlPlane) -> str:
    """A namespace whose pods are meant for virtual nodes."""
    plane.kubectl("create", "namespace", "inside")
    plane.kubectl("label", "namespace", "inside", *(f"{key}={value}" for key, value in LABELLED.items()))
    for name in ("inside", "default"):
        eventually(lambda name=name: plane.get("serviceaccounts", f"--namespace={name}")["items"], 60)
    return "inside"


@pytest.fixture(scope="module")
def version(plane: ControlPlane) -> str:
    """The newest version of the policies' API that is served."""
    served = plane.kubectl("api-versions").split()
    return next(each for each in (FINAL, BETA) if _has_policies(plane, each, served))


def _has_policies(plane: ControlPlane, version: str, served: list[str]) -> bool:
    group = f"admissionregistration.k8s.io/{version}"
    found = json.loads(plane.kubectl("get", "--raw", f"/apis/{group}")) if group in served else {"resources": []}
    return any(each["name"] == "mutatingadmissionpolicies" for each in found["resources"])


@pytest.mark.skipif(os.environ.get("VKPROVIDER_TEST_KUBERNETES") == "1.30", reason="1.30 has no such policies")
def test_pods_are_pinned_and_labelled_as_by_the_webhook(plane: ControlPlane, inside: str, version: str) -> None:
    """All but those that depend on the names of nodes."""
    manifest = POLICY.read_text().replace(
        f"admissionregistration.k8s.io/{BETA}", f"admissionregistration.k8s.io/{version}"
    )
    plane.kubectl("apply", "--filename=-", stdin=manifest)
    probe = [case.pod for case in CASES if case.name == "eci"]
    eventually(lambda: admitted(plane, "default", *probe)[0]["spec"].get("nodeSelector"), 30)
    for where, labelled in (("default", False), (inside, True)):
        cases = [case for case in CASES if case.labelled_namespace is labelled and not case.by_name]
        made = admitted(plane, where, *(case.pod for case in cases))
        wrong = [case.name for case, each in zip(cases, made, strict=True) if not is_as_it_should_be(case, each)]
        assert wrong == []
