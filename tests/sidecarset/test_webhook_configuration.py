"""What the API server is told. That its conditions hold for the right pods is shown on a real one."""

from __future__ import annotations

from vkprovider.kube.resources import LATER_SIDECAR_SETS, SIDECAR_SETS
from vkprovider.sidecarset.destination import DestinationSettings
from vkprovider.sidecarset.webhook_configuration import KRUISE, NAME, set_webhooks, webhooks

CLIENT = {"url": "https://10.0.0.7:10260/pods"}


def test_it_is_called_before_openkruise() -> None:
    assert NAME < KRUISE


def test_namespaces_decide_by_one_webhook_for_each_label_of_which_one_is_called() -> None:
    settings = DestinationSettings(labels=(("a", "1"), ("b", "2")))
    pods, first, second = webhooks(settings, CLIENT)
    assert pods["namespaceSelector"] == {}
    assert first["namespaceSelector"] == {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}
    assert second["namespaceSelector"] == {
        "matchExpressions": [
            {"key": "b", "operator": "In", "values": ["2"]},
            {"key": "a", "operator": "NotIn", "values": ["1"]},
        ]
    }
    (condition,) = pods["matchConditions"]
    for each in (first, second):
        assert each["matchConditions"][0]["expression"].startswith(f"!({condition['expression']})")
    assert len({each["name"] for each in (pods, first, second)}) == 3


def test_it_is_not_called_for_its_own_pods() -> None:
    for each in webhooks(DestinationSettings(), CLIENT, spared=["vkprovider"]):
        spared = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["vkprovider"]}
        assert spared in each["namespaceSelector"]["matchExpressions"]


def test_the_names_of_nodes_are_in_the_conditions_in_a_stable_order() -> None:
    one, other = (DestinationSettings(nodes=frozenset(names)) for names in (("b", "a", "c"), ("c", "b", "a")))
    assert webhooks(one, CLIENT) == webhooks(other, CLIENT)
    assert "['a', 'b', 'c']" in webhooks(one, CLIENT)[0]["matchConditions"][0]["expression"]
    assert "hostname" not in webhooks(DestinationSettings(), CLIENT)[0]["matchConditions"][0]["expression"]


def test_sets_may_be_written_while_nobody_answers() -> None:
    (webhook,) = set_webhooks(CLIENT)
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["rules"][0]["resources"] == ["sidecarsets"]


def test_sets_are_looked_at_in_whichever_version_they_are_written() -> None:
    (webhook,) = set_webhooks(CLIENT)
    assert webhook["rules"][0]["apiVersions"] == [SIDECAR_SETS.version, LATER_SIDECAR_SETS.version]
