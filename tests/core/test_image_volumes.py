"""Volumes that show an image: from the pod to the mounts of a container."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import SANDBOX, at, container, given, pod, sandbox
from vkprovider.core import actions as a
from vkprovider.core.decide import decide
from vkprovider.core.image_volumes import image_paths, image_volumes, mounts_images, with_image_mounts
from vkprovider.core.mounts import MountPlan, plan_mounts
from vkprovider.core.projections import Fetched, NodeShare
from vkprovider.core.record import Failure, ImageReady, PodMemory
from vkprovider.core.volumes import plan_volumes
from vkprovider.model.create import Mount

VOLUMES = [
    {"name": "data", "image": {"reference": "data:1"}},
    {"name": "more", "image": {"reference": "more:1", "pullPolicy": "Always"}},
    {"name": "empty", "emptyDir": {}},
]
PATH = "/pods/u/volumes/kubernetes.io~image/data"
IMAGES = {PATH: "sha256:d"}


def mounting(*mounts: dict[str, Any], volumes: list[dict[str, Any]] = VOLUMES) -> Any:
    return pod(container("app", volumeMounts=list(mounts)), volumes=volumes)


def planned(*mounts: dict[str, Any]) -> MountPlan:
    of = mounting(*mounts)
    return plan_mounts(of, of.spec.containers[0], "/pods/u", 0, {}, {"SUB": "x"})


def test_those_that_a_container_mounts_each_once():
    of = mounting(
        {"name": "more", "mountPath": "/m"}, {"name": "more", "mountPath": "/n"}, {"name": "empty", "mountPath": "/e"}
    )
    assert [volume.name for volume in image_volumes(of, of.spec.containers[0])] == ["more"]


def test_nothing_is_made_of_them_before_a_container_comes():
    plan = plan_volumes(mounting(), Fetched(), "/pods/u", NodeShare(memory=1 << 30))
    assert [volume.name for volume in plan.volumes] == ["empty"]


def test_a_copy_is_mounted_from_its_path_and_only_to_be_read():
    assert planned({"name": "data", "mountPath": "/d"}).mounts[0] == Mount(source=PATH, target="/d", read_only=True)


def test_an_image_is_mounted_by_the_engine_in_part_or_as_a_whole():
    plan = planned(
        {"name": "data", "mountPath": "/d"},
        {"name": "empty", "mountPath": "/e", "subPath": "x"},
        {"name": "data", "mountPath": "/x", "subPathExpr": "$(SUB)/y"},
    )
    found = with_image_mounts(plan, IMAGES)
    assert found.mounts[0] == Mount(source="sha256:d", target="/d", read_only=True, image=True)
    assert found.mounts[2] == Mount(source="sha256:d", target="/x", read_only=True, image=True, sub_path="x/y")
    assert [each.volume for each in found.sub_paths] == ["empty"]
    assert found.mounts[1] == plan.mounts[1]


def test_the_paths_of_images():
    assert image_paths(mounting(), "/pods/u", {"data": "sha256:d"}) == IMAGES


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.41", False), ("1.47", False), ("1.48", True), ("1.100", True), ("2.0", True), ("", False)],
)
def test_engines_that_mount_images(version: str, expected: bool):
    assert mounts_images(version) is expected


def test_the_images_that_were_pulled_are_those_that_are_mounted():
    of = mounting({"name": "data", "mountPath": "/d"})
    ready = ImageReady(attempt=0, image="busybox:1.28", image_id="sha256:b", volumes={"data": "sha256:d"})
    memory = PodMemory(volumes_ready=True, images={"app": ready})
    (start,) = decide(given(of, sandboxes=(sandbox(),), memory=memory)).actions
    assert isinstance(start, a.StartContainer)
    assert (start.sandbox_id, start.volumes) == (SANDBOX, {"data": "sha256:d"})


def failing(reason: str, message: str) -> Any:
    """A decision on a container of which a volume's image cannot be had."""
    of = mounting({"name": "data", "mountPath": "/d"})
    news = a.StartFailed(key="app", attempt=0, reason=reason, message=message, image="busybox:1.28", reference="data:1")
    return decide(given(of, sandboxes=(sandbox(),), memory=PodMemory(volumes_ready=True), news=(news,)))


def told(decision: Any) -> list[tuple[str, str, str]]:
    return [(event.reason, event.message, event.field_path) for event in decision.events]


def test_a_pull_that_fails_is_told_of_the_pod_and_its_container_waits():
    decision = failing("ErrImagePull", "no such thing")
    assert told(decision) == [
        ("Failed", 'Failed to pull image "data:1": no such thing', ""),
        ("Failed", "Error: ErrImagePull", "spec.containers{app}"),
    ]
    (status,) = decision.status["containerStatuses"]
    assert status["state"]["waiting"] == {"reason": "ErrImagePull", "message": "no such thing"}
    assert decision.actions == ()
    assert decision.memory.failures["app"].retry_at == at(110)


def test_an_image_that_is_not_to_be_pulled():
    assert told(failing("ErrImageNeverPull", "absent")) == [
        ("ErrImageNeverPull", "absent", ""),
        ("Failed", "Error: ErrImageNeverPull", "spec.containers{app}"),
    ]


def test_a_name_that_is_none():
    assert told(failing("InvalidImageName", "no name"))[0] == ("InspectFailed", "no name", "")


def test_backing_off_names_the_volumes_image():
    of = mounting({"name": "data", "mountPath": "/d"})
    failure = Failure(
        attempt=0,
        reason="ErrImagePull",
        message="no",
        count=1,
        at=at(0),
        retry_at=at(10),
        image="busybox:1.28",
        reference="data:1",
    )
    memory = PodMemory(volumes_ready=True, failures={"app": failure})
    decision = decide(given(of, when=2, sandboxes=(sandbox(),), memory=memory))
    (status,) = decision.status["containerStatuses"]
    message = 'Back-off pulling image "data:1": ErrImagePull: no'
    assert status["state"]["waiting"] == {"reason": "ImagePullBackOff", "message": message}
    assert ("BackOff", 'Back-off pulling image "data:1"', "spec.containers{app}") in told(decision)


def test_a_volumes_image_is_told_of_the_pod():
    news = (a.PullStarted(image="data:1"), a.VolumePulled(image="data:1", seconds=1.5, size_bytes=7))
    decision = decide(given(mounting(), news=news))
    size = "Image size: 7 bytes."
    assert told(decision) == [
        ("Pulling", 'Pulling image "data:1"', ""),
        ("Pulled", f'Successfully pulled image "data:1" in 1.5s (1.5s including waiting). {size}', ""),
    ]


def test_an_image_that_is_gone_when_its_container_is_made_is_pulled_again():
    of = pod(container("app"))
    ready = ImageReady(attempt=0, image="busybox:1.28", image_id="sha256:b")
    memory = PodMemory(volumes_ready=True, images={"app": ready})
    news = a.StartFailed(key="app", attempt=0, reason="CreateContainerError", message="gone")
    decision = decide(given(of, sandboxes=(sandbox(),), memory=memory, news=(news,)))
    assert decision.actions == ()
    later = decide(given(of, when=111, sandboxes=(sandbox(),), memory=decision.memory))
    (pull,) = later.actions
    assert isinstance(pull, a.PullImage)
    done = a.PullDone(key="app", image="busybox:1.28", attempt=0, image_id="sha256:b")
    last = decide(given(of, when=112, sandboxes=(sandbox(),), memory=later.memory, news=(done,)))
    (status,) = last.status["containerStatuses"]
    assert status["state"]["waiting"]["reason"] == "CreateContainerError"
    assert isinstance(last.actions[0], a.StartContainer)
