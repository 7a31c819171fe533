"""The definitions of SidecarSets and their bindings: made where they are absent, and never another's."""

from __future__ import annotations

from tests.fakes.api_server import FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.kube.client import ApiClient
from vkprovider.kube.webhook.definitions import DEFINITIONS, define_sidecar_sets

SETS, BINDINGS = "sidecarsets.apps.kruise.io", "sidecarsetresourcebindings.sidecarset.alibabacloud.com"


async def test_what_is_absent_is_made_and_what_is_there_stays(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    """That of SidecarSets is OpenKruise's."""
    server.store.put(DEFINITIONS.plural, {"metadata": {"name": SETS}, "spec": {"versions": ["of OpenKruise"]}})
    await define_sidecar_sets(api, clock)
    kept, made = (server.store.get(DEFINITIONS.plural, "", name) for name in (SETS, BINDINGS))
    assert kept is not None
    assert kept["spec"] == {"versions": ["of OpenKruise"]}
    assert made is not None
    assert made["spec"]["names"]["kind"] == "SidecarSetResourceBinding"
    assert [each.verb for each in server.asked].count("create") == 1


async def test_a_permission_that_is_granted_late_is_used(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    server.fail("get", DEFINITIONS.plural, 403, times=6)
    await define_sidecar_sets(api, clock)
    assert server.store.get(DEFINITIONS.plural, "", SETS) is not None
    assert server.store.get(DEFINITIONS.plural, "", BINDINGS) is not None


async def test_who_comes_second_leaves_them(api: ApiClient, server: FakeApiServer, clock: QuickClock) -> None:
    server.fail("create", DEFINITIONS.plural, 409, times=2)
    await define_sidecar_sets(api, clock)
    assert {each.verb for each in server.asked} == {"get", "create"}
    assert server.store.get(DEFINITIONS.plural, "", SETS) is None
    assert server.store.get(DEFINITIONS.plural, "", BINDINGS) is None
