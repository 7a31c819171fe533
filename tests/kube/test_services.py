"""The Services of the cluster as they are kept."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.core.services import api_server_at
from vkprovider.errors import ApiError
from vkprovider.kube.references import services as services_module
from vkprovider.kube.references.services import Services
from vkprovider.kube.reflector import Changed, Removed, Replaced


def service(name: str, namespace: str = "default", host: str = "10.0.0.1") -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"clusterIP": host, "ports": [{"port": 80}]}}


async def known(services: Services) -> dict[tuple[str, str], str]:
    return {(each.namespace, each.name): each.host for each in await services.all()}


async def test_they_are_as_the_last_update_says() -> None:
    services = Services()
    services.take(Replaced((service("a"), service("b"))))
    services.take(Changed(service("a", host="10.0.0.9")))
    services.take(Changed(service("a", "other")))
    assert await known(services) == {
        ("default", "a"): "10.0.0.9",
        ("default", "b"): "10.0.0.1",
        ("other", "a"): "10.0.0.1",
    }
    services.take(Removed(service("b")))
    services.take(Changed(service("a", host="None")))
    assert await known(services) == {("other", "a"): "10.0.0.1"}
    services.take(Replaced(()))
    assert await known(services) == {}


async def test_the_api_server_is_where_pods_reach_it() -> None:
    services = Services(api_server_at("172.18.0.2", 6443))
    services.take(Replaced((service("kubernetes"), service("web"))))
    assert await known(services) == {("default", "kubernetes"): "172.18.0.2", ("default", "web"): "10.0.0.1"}
    services = Services()
    services.take(Replaced((service("kubernetes"),)))
    assert await known(services) == {("default", "kubernetes"): "10.0.0.1"}


async def test_before_they_were_read_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services_module, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(ApiError, match="services have not yet been read at least once, cannot construct envvars"):
        await Services(api_server_at("172.18.0.2", 6443)).all()
