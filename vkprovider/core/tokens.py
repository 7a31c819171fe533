"""Tokens of service accounts: which a pod's volumes need, and when one is due to be replaced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from vkprovider.errors import VkError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import TokenRef
from vkprovider.model.volume import TokenProjection

_OLDEST = timedelta(hours=24)
_JITTER = timedelta(seconds=10)
_SHARE_LEFT = 0.2  # of its life, when it is replaced


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """``renew_at`` is when to ask for another one, well before this one ends."""

    value: str
    renew_at: datetime


Tokens = Mapping[TokenRef, Token | VkError]
"""Tokens by reference, an error where there is none to be had now."""


def needed_tokens(pod: Pod) -> frozenset[TokenRef]:
    """The tokens that the pod's volumes show."""
    sources = (source for volume in pod.spec.volumes if volume.projected for source in volume.projected.sources)
    return frozenset(token_ref(pod, s.service_account_token) for s in sources if s.service_account_token is not None)


def token_ref(pod: Pod, source: TokenProjection) -> TokenRef:
    return TokenRef(
        namespace=pod.metadata.namespace,
        service_account=pod.spec.service_account_name or "default",
        pod=pod.metadata.name,
        pod_uid=pod.uid,
        audience=source.audience,
        seconds=source.expiration_seconds,
    )


def renewal(expires_at: datetime, seconds: int, spread: float) -> datetime:
    """When a token with a life of so many seconds is due: at 80 % of it, or 24 h old (pkg/kubelet/token).

    ``spread``, from 0 to 1, is how much of 10 s it is due earlier, so that not all tokens are due at once.
    """
    life = timedelta(seconds=seconds)
    return min(expires_at - life * _SHARE_LEFT, expires_at - life + _OLDEST) - _JITTER * spread
