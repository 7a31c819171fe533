"""One way in which vkprovider does not do what a kubelet does."""

from __future__ import annotations

import msgspec


class Difference(msgspec.Struct, frozen=True):
    """``kubelet`` says what a kubelet of 1.34 does, ``here`` what vkprovider does, ``why`` gives the reason."""

    module: str
    kubelet: str
    here: str
    why: str
