"""When a pod's volumes are made again: an object, its own labels, or a token's time."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.core.given import at, container, deleted, exited, given, pod, running
from vkprovider.core import actions as a
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef

CONFIG = ObjectRef("ConfigMap", "default", "c")
ELSEWHERE = ObjectRef("ConfigMap", "default", "other")
VARIABLE = {"name": "V", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
POD = pod(container("app", env=[VARIABLE]), volumes=[{"name": "v", "configMap": {"name": "c"}}])
LABELS = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
TELLING = pod(container("app"), volumes=[{"name": "v", "downwardAPI": {"items": [LABELS]}}])
CHANGED = a.ObjectChanged(ref=CONFIG)


def step(of: Pod, memory: PodMemory, when: float = 100, news: tuple[a.News, ...] = (), **more: Any) -> a.Decision:
    """A look at a pod whose app runs."""
    return decide(given(of, *running(of, "app"), memory=memory, when=when, news=news, **more))


def labelled(of: Pod, **labels: str) -> Pod:
    return msgspec.structs.replace(of, metadata=msgspec.structs.replace(of.metadata, labels=labels))


def test_nothing_is_made_again_that_has_not_changed() -> None:
    assert step(POD, PodMemory(volumes_ready=True)).actions == ()


def test_a_change_of_an_object_is_followed_by_one_more_version() -> None:
    changed = step(POD, PodMemory(volumes_ready=True), news=(CHANGED,))
    assert changed.actions == (a.PrepareVolumes(version=1),)
    done = step(POD, changed.memory, 101, news=(a.VolumesReady(version=1),))
    assert done.actions == ()


def test_a_change_while_volumes_are_being_made_is_not_lost() -> None:
    begun = a.PrepareVolumes(version=1)
    first = step(POD, PodMemory(volumes_ready=True), news=(CHANGED,))
    second = step(POD, first.memory, 101, news=(CHANGED,), in_flight={"": begun})
    assert second.actions == ()
    third = step(POD, second.memory, 102, news=(a.VolumesReady(version=1),))
    assert third.actions == (a.PrepareVolumes(version=2),)


def test_an_object_that_only_variables_show_changes_no_volume() -> None:
    secret = a.ObjectChanged(ref=ObjectRef("Secret", "default", "s"))
    assert step(POD, PodMemory(volumes_ready=True), news=(secret, a.ObjectChanged(ref=ELSEWHERE))).actions == ()


def test_labels_that_a_volume_shows() -> None:
    first = decide(given(TELLING, memory=PodMemory()))
    assert first.actions == (a.PrepareVolumes(version=1),)
    ready = step(TELLING, first.memory, 101, news=(a.VolumesReady(version=1),))
    assert ready.actions == ()
    changed = step(labelled(TELLING, a="2"), ready.memory, 102)
    assert changed.actions == (a.PrepareVolumes(version=2),)


def test_labels_that_no_volume_shows() -> None:
    assert step(labelled(POD, a="2"), PodMemory(volumes_ready=True)).actions == ()


def test_a_token_whose_time_has_come() -> None:
    ready = step(POD, PodMemory(), news=(a.VolumesReady(renew_at=at(150)),))
    assert (ready.actions, ready.wake_at) == ((), at(150))
    due = step(POD, ready.memory, 150)
    assert (due.actions, due.wake_at) == ((a.PrepareVolumes(version=1),), None)
    renewed = step(POD, due.memory, 151, news=(a.VolumesReady(version=1, renew_at=at(3000)),))
    assert (renewed.actions, renewed.wake_at) == ((), at(3000))


def test_a_failure_is_told_backs_off_and_leaves_the_containers_alone() -> None:
    failed = a.VolumesFailed(messages=("gone",), version=1)
    memory, now, waits = step(POD, PodMemory(volumes_ready=True), news=(CHANGED,)).memory, 100.0, []
    for _ in range(11):
        decision = step(POD, memory, now, news=(failed,))
        assert decision.actions == ()
        assert [(event.reason, event.message) for event in decision.events] == [("FailedMount", "gone")]
        assert decision.wake_at is not None
        waits.append((decision.wake_at - at(now)).total_seconds())
        memory, now = decision.memory, (decision.wake_at - at(0)).total_seconds()
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 64, 122, 122, 122]
    assert step(POD, memory, now).actions == (a.PrepareVolumes(version=1),)


def test_an_object_that_appears_while_volumes_fail_for_it_ends_the_wait_too() -> None:
    failed = a.VolumesFailed(messages=("not found",))
    for news in ((CHANGED, failed), (failed, CHANGED)):
        assert decide(given(POD, memory=PodMemory(), news=news)).actions == (a.PrepareVolumes(version=1),)


def test_what_is_withheld_is_told_once_until_it_is_granted_again() -> None:
    def told(memory: PodMemory, *withheld: str) -> tuple[PodMemory, list[tuple[str, str]]]:
        decision = step(POD, memory, news=(a.VolumesReady(withheld=withheld),))
        assert decision.actions == ()
        return decision.memory, [(event.reason, event.message) for event in decision.events]

    stays = "The files that are there stay, and are no longer refreshed"
    memory, events = told(PodMemory(), "one")
    assert events == [("VolumeNotRefreshed", f"one. {stays}")]
    memory, events = told(memory, "one", "two")
    assert events == [("VolumeNotRefreshed", f"two. {stays}")]
    memory, events = told(memory)
    assert events == []
    memory, events = told(memory, "one")
    assert events == [("VolumeNotRefreshed", f"one. {stays}")]


def test_an_object_that_appears_ends_the_wait() -> None:
    failed = decide(given(POD, memory=PodMemory(), news=(a.VolumesFailed(messages=("not found",)),)))
    assert failed.actions == ()
    assert decide(given(POD, memory=failed.memory, news=(CHANGED,))).actions == (a.PrepareVolumes(version=1),)


def test_the_objects_of_volumes_and_variables_are_followed_until_the_end_begins() -> None:
    followed = {CONFIG, ObjectRef("Secret", "default", "s")}
    assert step(POD, PodMemory()).objects == followed
    assert step(deleted(POD), PodMemory(volumes_ready=True)).objects == frozenset()
    assert decide(given(POD, exited(POD, "app"))).objects == frozenset()


def test_authorities_and_the_pods_own_certificate_are_followed() -> None:
    sources = [
        {"clusterTrustBundle": {"name": "ca", "path": "ca"}},
        {"clusterTrustBundle": {"signerName": "a.b/c", "path": "all"}},
        {"podCertificate": {"signerName": "a.b/c", "keyType": "ED25519", "keyPath": "key"}},
    ]
    trusting = pod(container("app"), volumes=[{"name": "v", "projected": {"sources": sources}}])
    refs = {
        ObjectRef("ClusterTrustBundle", "", "ca"),
        ObjectRef("ClusterTrustBundleList", "", "a.b/c"),
        ObjectRef("PodCertificate", "default", "v/2"),
    }
    assert step(trusting, PodMemory()).objects == refs
    for ref in refs:
        changed = step(trusting, PodMemory(volumes_ready=True), news=(a.ObjectChanged(ref=ref),))
        assert changed.actions == (a.PrepareVolumes(version=1),)
