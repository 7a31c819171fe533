import json
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from integration.cluster.clients import Cluster
from vkprovider.kube.client import ApiClient
from vkprovider.node.clock import SystemClock

from .joined import Watch, hung_up, running


@pytest.fixture
def node(cluster: Cluster) -> Iterator[str]:
    """A Node, so that nobody collects the pods that are bound to it."""
    name = f"test-{uuid4().hex[:8]}"
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))
    yield name
    cluster.kubectl("delete", "node", name)


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[ApiClient]:
    api = ApiClient(SystemClock(), str(cluster.kubeconfig))
    yield api
    await api.aclose()
    await hung_up()


@pytest.fixture
async def watch(api: ApiClient, namespace: str) -> AsyncIterator[Watch]:
    watch = Watch()
    async with running(watch.follow(api, namespace)):
        await watch.until(lambda: watch.updates)
        yield watch
