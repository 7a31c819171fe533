"""What directory of the host a claim stands for, and which have none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.claimed import BoundPath, bound_path, bound_volumes
from vkprovider.core.mounts import plan_mounts
from vkprovider.core.objects import Objects
from vkprovider.core.projections import Fetched, NodeShare
from vkprovider.core.volumes import ClaimedPath, needed_objects, plan_volumes
from vkprovider.errors import VkError
from vkprovider.model.refs import ObjectRef

CLAIM, VOLUME = ObjectRef("PersistentVolumeClaim", "default", "data"), ObjectRef("PersistentVolume", "", "pv")
BOUND: dict[str, Any] = {"metadata": {"uid": "c"}, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}


def objects(claim: Any = BOUND, **spec: Any) -> Objects:
    return {CLAIM: claim, VOLUME: {"spec": {"claimRef": {"uid": "c"}, "capacity": {"storage": "1Gi"}} | spec}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostPath": {"path": "/srv"}}, BoundPath("/srv", "", False)),
        ({"hostPath": {"path": "/srv", "type": "Directory"}}, BoundPath("/srv", "Directory", False)),
        (
            {"local": {"path": "/disk", "fsType": "ext4"}, "volumeMode": "Filesystem"},
            BoundPath("/disk", "Directory", True),
        ),
    ],
)
def test_volumes_that_need_no_driver(spec: dict[str, Any], expected: BoundPath) -> None:
    assert bound_path(CLAIM, objects(**spec)) == expected


LOCAL = {"local": {"path": "/disk"}}
HERE = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["here"]}


@pytest.mark.parametrize(
    ("labels", "fits"),
    [({"kubernetes.io/hostname": "here"}, True), ({"kubernetes.io/hostname": "there"}, False), (None, True)],
)
def test_a_volume_of_another_node_is_not_mounted(labels: dict[str, str] | None, fits: bool) -> None:
    """A pod that names its node has not asked the scheduler."""
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [HERE]}]}}
    found = objects(nodeAffinity=affinity, **LOCAL)
    if fits:
        assert bound_path(CLAIM, found, labels=labels).path == "/disk"
    else:
        with pytest.raises(VkError, match='NodeAffinity check failed for volume "pv": no matching NodeSelectorTerms'):
            bound_path(CLAIM, found, labels=labels)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (objects(None), 'persistentvolumeclaim "data" not found'),
        (objects(VkError("may not get persistentvolumeclaims")), "may not get persistentvolumeclaims"),
        (objects(BOUND | {"status": {"phase": "Pending"}}), 'the claim "data" is not bound to a volume yet'),
        (objects(BOUND | {"spec": {}}), 'the claim "data" is not bound to a volume yet'),
        ({CLAIM: BOUND, VOLUME: None}, 'persistentvolume "pv" not found'),
        (objects(claimRef={"uid": "x"}, **LOCAL), 'the volume "pv" is bound to another claim than "data"'),
        (
            objects(volumeMode="Block", **LOCAL),
            'the volume "pv" is a Block volume: only file systems can be mounted',
        ),
        (
            objects(csi={"driver": "d"}, storageClassName="fast"),
            'the volume "pv" is of a kind (csi) that needs a driver: hostPath and local need none',
        ),
    ],
)
def test_volumes_that_cannot_be_had(found: Objects, message: str) -> None:
    with pytest.raises(VkError) as told:
        bound_path(CLAIM, found)
    assert str(told.value) == message


def test_the_volumes_of_claims_are_fetched_once_these_are_bound() -> None:
    assert bound_volumes(objects(**LOCAL)) == {VOLUME}
    assert bound_volumes(objects(BOUND | {"status": {}})) == frozenset()
    assert bound_volumes(objects(None)) == frozenset()


MADE_FOR = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
OWN = ObjectRef("PersistentVolumeClaim", "default", "p-v")


@pytest.mark.parametrize(
    ("owners", "failures"),
    [
        ([MADE_FOR], ()),
        ([MADE_FOR | {"uid": "of an earlier pod"}], ("default/p (pod is not owner)",)),
        ([MADE_FOR | {"controller": False}], ("default/p (pod is not owner)",)),
        ([], ("default/p (pod is not owner)",)),
    ],
)
def test_an_ephemeral_volume_is_a_claim_of_its_pod(owners: list[dict[str, Any]], failures: tuple[str, ...]) -> None:
    given = pod(container("app"), volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}])
    assert needed_objects(given) == {OWN}
    found = objects(**LOCAL)
    claim = BOUND | {"metadata": {"uid": "c", "ownerReferences": owners}}
    plan = plan_volumes(given, Fetched(objects={**found, OWN: claim}), "/pods/u", NodeShare(memory=1))
    refused = 'MountVolume.SetUp failed for volume "v" : PVC default/p-v was not created for pod '
    assert (plan.failures, len(plan.volumes)) == (tuple(refused + why for why in failures), 1 - len(failures))


@pytest.mark.parametrize("read_only", [False, True])
def test_a_pods_claim_is_a_link_in_its_directory(read_only: bool) -> None:
    source = {"claimName": "data", "readOnly": read_only}
    app = container("app", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    given = pod(app, volumes=[{"name": "v", "persistentVolumeClaim": source}])
    assert needed_objects(given) == {CLAIM}
    plan = plan_volumes(given, Fetched(objects=objects(**LOCAL)), "/pods/u", NodeShare(memory=1))
    link = "/pods/u/volumes/kubernetes.io~local-volume/v"
    claimed = ClaimedPath(name="v", link=link, path="/disk", type="Directory", given_to_group=True)
    assert (plan.volumes, plan.failures) == ((claimed,), ())
    mount = plan_mounts(given, given.spec.containers[0], "/pods/u", 0, {}, {}).mounts[0]
    assert (mount.source, mount.read_only) == (link, read_only)
