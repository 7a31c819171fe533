"""Answers to the API server."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.sidecarset.destinations import ECI, VIRTUAL
from vkprovider.errors import SpecError
from vkprovider.sidecarset.admission import Cluster, Request, admitted, answer, answer_on_set, read_review, sets_for
from vkprovider.sidecarset.destination import VIRTUAL_NODE, DestinationSettings
from vkprovider.sidecarset.model import sidecar_set
from vkprovider.sidecarset.revisions import Revision, only_revision

Json = dict[str, Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def agents(name: str = "agents", **spec: Any) -> Json:
    chosen = {"matchLabels": {VIRTUAL_NODE: "true"}}
    containers = [{"name": "agent", "image": "agent"}]
    return {"metadata": {"name": name}, "spec": {"selector": chosen, "containers": containers} | spec}


def cluster(*sets: Json, **namespace_labels: str) -> Cluster:
    return Cluster(
        destination=DestinationSettings(nodes=frozenset({VIRTUAL})),
        namespace_labels=namespace_labels,
        sets=[sidecar_set(each) for each in sets],
    )


def pod(**metadata: Any) -> Json:
    return {"metadata": {"name": "web"} | metadata, "spec": {"containers": [{"name": "app", "image": "app"}]}}


def response(request: Request, now: Cluster) -> Json:
    review = answer(request, now, NOW)
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    given: Json = review["response"]
    assert given["uid"] == request.uid
    return given


def test_a_pod_that_is_to_be_another_one_is_patched() -> None:
    given = response(Request(uid="7", object=pod(labels={ECI: "true"}), namespace="default"), cluster(agents()))
    assert (given["allowed"], given["patchType"]) == (True, "JSONPatch")
    patch = {each["path"]: each for each in msgspec.json.decode(b64decode(given["patch"]))}
    assert patch["/metadata/labels/serverless.alibabacloud.com~1virtual-node"]["value"] == "true"
    assert [each["name"] for each in patch["/spec/containers"]["value"]] == ["agent", "app"]
    assert set(patch) == {
        "/metadata/labels/serverless.alibabacloud.com~1virtual-node",
        "/metadata/annotations",
        "/spec/nodeSelector",
        "/spec/tolerations",
        "/spec/containers",
    }


def test_one_that_is_to_stay_as_it_is_is_let_through() -> None:
    assert response(Request(uid="7", object=pod()), cluster(agents())) == {"uid": "7", "allowed": True}


def test_one_whose_annotations_cannot_be_read_is_refused_with_the_reason() -> None:
    broken = {"kruise.io/sidecarset-hash": "no json"}
    request = Request(uid="7", object=pod(labels={ECI: "true"}, annotations=broken))
    given = response(request, cluster(agents()))
    assert given["allowed"] is False
    assert "kruise.io/sidecarset-hash" in given["status"]["message"]


def test_only_pods_of_virtual_nodes_get_sidecars_whatever_the_selector() -> None:
    everywhere = agents(selector={"matchLabels": {"app": "web"}})
    labels = {"app": "web"}
    for given, names in ((labels, ["app"]), (labels | {ECI: "true"}, ["agent", "app"])):
        made = admitted(pod(labels=given), "default", cluster(everywhere), NOW)
        assert [each["name"] for each in made["spec"]["containers"]] == names


def test_which_sets_a_pod_is_injected_by() -> None:
    now = cluster(
        agents(), agents("others", selector={"matchLabels": {"app": "other"}}), agents("team", namespace="team")
    )
    assert [each.name for each in sets_for(pod(labels={ECI: "true"}), "default", now)] == ["agents"]
    for elsewhere in ({}, {VIRTUAL_NODE: "true"}):
        assert sets_for(pod(labels=elsewhere), "default", now) == ()


def test_a_forged_label_opens_nothing() -> None:
    made = admitted(pod(labels={VIRTUAL_NODE: "true"}), "default", cluster(agents()), NOW)
    assert made == pod(labels={})


def test_once_admitted_nothing_more_is_done() -> None:
    now = cluster(agents())
    made = admitted(pod(labels={ECI: "true"}), "default", now, NOW)
    assert admitted(made, "default", now, NOW) == made


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"request": {"uid": "7"}}', b'{"request": {"uid": 7, "object": {}}}']
)
def test_what_is_no_question_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(SpecError, match="no AdmissionReview of an object"):
        read_review(body)
    assert read_review(b'{"request": {"uid": "7", "object": {}, "kind": {}}}') == Request(uid="7", object={})


def verdict(
    written: Json, *others: Json, before: Json | None = None, revisions: tuple[Revision, ...] | None = None
) -> str:
    """Why a set is refused, "" where it is not."""
    request = Request(uid="7", object=written, old_object=before)
    given: Json = answer_on_set(request, [sidecar_set(each) for each in others], revisions)["response"]
    assert given["uid"] == "7"
    return "" if given["allowed"] else str(given["status"]["message"])


def test_a_set_is_refused_for_all_that_is_wrong_with_it() -> None:
    assert verdict(agents()) == ""
    assert verdict(agents(), before=agents(namespace="web")) == ""
    broken = agents(selector={}, containers=[{"name": "Agent", "image": "agent"}])
    assert verdict(broken).count("; ") == 1
    assert verdict(agents(containers="none")).startswith('SidecarSet "agents": ')


def test_a_set_is_refused_for_what_others_have_and_for_what_it_was() -> None:
    assert "container agent already exist in others" in verdict(agents(), agents("others"))
    assert verdict(agents(), agents("others", namespace="web"), agents()) != ""
    renamed = agents(containers=[{"name": "renamed", "image": "agent"}])
    assert "container renamed is not found" in verdict(renamed, before=agents())


PINNED = {"injectionStrategy": {"revision": {"customVersion": "v1"}}}


def versioned() -> Revision:
    """The first revision of the agents, of another image."""
    made = sidecar_set(agents(containers=[{"name": "agent", "image": "agent:1"}]))
    return replace(only_revision(made), custom_version="v1")


def test_new_pods_get_the_revision_that_a_set_names_or_are_refused() -> None:
    request = Request(uid="7", object=pod(labels={ECI: "true"}), namespace="default")
    now = cluster(agents(**PINNED))
    assert "Cannot find specific ControllerRevision" in response(request, now)["status"]["message"]
    made = admitted(request.object, "default", replace(now, revisions=[versioned()]), NOW)
    assert made["spec"]["containers"][0]["image"] == "agent:1"
    other = Request(uid="7", object=pod(labels={ECI: "true"}), namespace="other")
    assert response(other, cluster(agents(**PINNED, namespace="default")))["allowed"] is True


def test_a_set_may_not_name_a_revision_that_there_is_not() -> None:
    assert "Cannot find specific ControllerRevision; there are: none" in verdict(agents(**PINNED), revisions=())
    assert verdict(agents(**PINNED), revisions=(versioned(),)) == ""
    assert verdict(agents(**PINNED)) == ""  # as long as nobody knows
