from __future__ import annotations

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiForbidden, ApiUnavailable
from vkprovider.kube.access_reviews import PAUSES, ClusterReviews
from vkprovider.kube.client import ApiClient
from vkprovider.model.access import User

USER = User(name="u", uid="1", groups=("a", "b"), extra=(("example.com/key", ("x", "y")),))


@pytest.fixture
def reviews(api: ApiClient, clock: QuickClock) -> ClusterReviews:
    return ClusterReviews(api, "n1", clock)


async def test_whose_token_it_is(server: FakeApiServer, reviews: ClusterReviews):
    info = {"username": "u", "uid": "1", "groups": ["a", "b"], "extra": {"example.com/key": ["x", "y"]}}
    server.reviews["tokenreviews"] = {"authenticated": True, "user": info}
    assert await reviews.user("s3cret") == USER
    assert server.asked[-1].body == {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "s3cret"},
    }
    server.reviews["tokenreviews"] = {"authenticated": True, "user": {"username": "u"}}
    assert await reviews.user("s3cret") == User(name="u")


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": False, "error": "invalid bearer token"},
        {"authenticated": False, "user": {"username": "u"}},
        {"authenticated": True, "user": {}},
    ],
)
async def test_nobodys_token(server: FakeApiServer, reviews: ClusterReviews, status: dict[str, object]):
    server.reviews["tokenreviews"] = status
    assert await reviews.user("s3cret") is None


async def test_what_a_user_may_do_with_the_node(server: FakeApiServer, reviews: ClusterReviews):
    assert await reviews.allows(USER, "get", "metrics")
    assert server.asked[-1].body == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "u",
            "uid": "1",
            "groups": ["a", "b"],
            "extra": {"example.com/key": ["x", "y"]},
            "resourceAttributes": {
                "verb": "get",
                "version": "v1",
                "resource": "nodes",
                "subresource": "metrics",
                "name": "n1",
            },
        },
    }


@pytest.mark.parametrize("status", [{}, {"allowed": False}, {"allowed": True, "denied": True}])
async def test_what_is_not_allowed(server: FakeApiServer, reviews: ClusterReviews, status: dict[str, object]):
    server.reviews["subjectaccessreviews"] = status
    assert not await reviews.allows(USER, "get", "metrics")


async def test_a_busy_api_server_is_asked_again(server: FakeApiServer, reviews: ClusterReviews, clock: QuickClock):
    server.fail("create", "subjectaccessreviews", 429, times=2)
    server.fail("create", "subjectaccessreviews", 0)
    assert await reviews.allows(USER, "get", "metrics")
    assert clock.waits == list(PAUSES[:3])


async def test_one_that_is_away_not_for_ever(server: FakeApiServer, reviews: ClusterReviews):
    server.fail("create", "tokenreviews", 503, times=len(PAUSES) + 1)
    with pytest.raises(ApiUnavailable):
        await reviews.user("s3cret")
    assert server.count("create tokenreviews") == len(PAUSES) + 1


async def test_a_refusal_is_final(server: FakeApiServer, reviews: ClusterReviews):
    server.fail("create", "tokenreviews", 403)
    with pytest.raises(ApiForbidden, match="may not create tokenreviews: grant it"):
        await reviews.user("s3cret")
    assert server.count("create tokenreviews") == 1
