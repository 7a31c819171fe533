"""The webhook's flags."""

from __future__ import annotations

from datetime import timedelta

import pytest

from vkprovider.config import ConfigError
from vkprovider.kube.webhook.settings import WebhookFlags, load_webhook_settings


def test_outside_of_a_cluster_it_is_reached_at_its_address() -> None:
    settings = load_webhook_settings(WebhookFlags(address="10.0.0.7", port=1234))
    assert settings.hosts == ("10.0.0.7",)
    assert settings.client("/pods") == {"url": "https://10.0.0.7:1234/pods"}
    assert load_webhook_settings(WebhookFlags(address="[::1]")).client("/pods") == {"url": "https://[::1]:10260/pods"}


def test_inside_by_its_service() -> None:
    settings = load_webhook_settings(WebhookFlags(service="tools/webhook"))
    assert settings.hosts == ("webhook.tools.svc", "webhook.tools.svc.cluster.local")
    assert settings.client("/pods") == {
        "service": {"namespace": "tools", "name": "webhook", "path": "/pods", "port": 443}
    }


def test_other_labels_take_the_place_of_the_usual_ones() -> None:
    flags = WebhookFlags(
        ca_life="30m", destination_labels=("pool=burst,example.com/virtual=yes", "other=1"), taint="burst"
    )
    settings = load_webhook_settings(flags)
    assert settings.authority_life == timedelta(minutes=30)
    assert settings.destination.taint == "burst"
    assert settings.destination.labels == (("pool", "burst"), ("example.com/virtual", "yes"), ("other", "1"))


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"address": "a", "service": "b/c"}, "--address and --service: give one of them"),
        ({"address": "no host"}, "--address: a lowercase RFC 1123 subdomain"),
        ({"address": ":::"}, "--address: ':::' is not an IP address"),
        ({"service": "webhook"}, "--service: 'webhook' is not of the form NAMESPACE/NAME"),
        ({"service": "tools/Web"}, "--service: a lowercase RFC 1123 label"),
        ({"namespace": "A"}, "--namespace: a lowercase RFC 1123 label"),
        ({"ca_life": "1s"}, "--ca-life: 1s is less than 20s"),
        ({"ca_life": "year"}, "--ca-life: 'year' is not a duration"),
        ({"taint": "a b"}, "--taint: key 'a b'"),
        ({"destination_labels": ("a b=c",)}, "--destination-label: key 'a b'"),
        ({"destination_labels": ("a=c d",)}, "--destination-label: value 'c d' of a"),
    ],
)
def test_what_cannot_be_used_is_named(flags: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_webhook_settings(WebhookFlags(**flags))
    assert str(refused.value).startswith(complaint)
