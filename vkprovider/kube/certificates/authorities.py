"""Authorities that follow one another, so that no client ever meets a certificate that it cannot verify.

::

    made, and published beside the one before ──▶ known to all, signs ──▶ the next is made ──▶ the next signs ──▶ ends
    0                                             1/4                     1/2                  3/4                1

All of it follows from the certificates' own dates: whoever reads the same ones decides the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

EARLIER = timedelta(hours=1)  # that certificates are dated back, for clocks that are slow
_KNOWN, _FOLLOWED = 0.25, 0.5  # of an authority's life


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """One with its key, both in PEM."""

    certificate: bytes
    key: bytes
    made: datetime
    ends: datetime

    def has_lived(self, share: float, now: datetime) -> bool:
        return now >= self.made + (self.ends - self.made) * share


def standing(authorities: Sequence[Authority], now: datetime) -> tuple[Authority, ...]:
    """Those that have not ended, the oldest first."""
    return tuple(sorted((each for each in authorities if each.ends > now), key=lambda each: each.made))


def next_is_due(authorities: Sequence[Authority], now: datetime) -> bool:
    """Whether one more is to be made beside those that stand."""
    return not authorities or authorities[-1].has_lived(_FOLLOWED, now)


def signer(authorities: Sequence[Authority], now: datetime) -> Authority:
    """Who signs, of those that stand: the newest that everybody has heard of. What it signs lasts as long as itself,
    and is replaced once it is another one that signs.
    """
    return next((each for each in reversed(authorities) if each.has_lived(_KNOWN, now)), authorities[0])
