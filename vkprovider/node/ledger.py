"""Who has been given how much of the node, and which devices: what new pods and resizes are measured against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from vkprovider.core.claims import Claim, in_units
from vkprovider.core.devices import Given
from vkprovider.core.view import Room
from vkprovider.model.refs import PodUID

Poke = Callable[[str], None]


class Ledger:
    """The claims of all pods that live here, kept by their workers.

    ``allocatable`` gives the node's quantities by resource name; without it nobody counts, and everything fits.
    ``devices`` are the ids of all that there are, by resource.
    """

    def __init__(
        self,
        allocatable: Callable[[], Mapping[str, str]] | None = None,
        devices: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._allocatable = allocatable
        self._devices = devices or {}
        self._given: dict[PodUID, frozenset[tuple[str, str]]] = {}
        self._claims: dict[PodUID, Claim] = {}
        self._waiting: dict[PodUID, Poke] = {}

    def claim(self, uid: PodUID) -> Claim | None:
        """What a pod has been given, None if it is not known here."""
        return self._claims.get(uid)

    def room(self, uid: PodUID) -> Room | None:
        """The node as it looks to one pod: all that the others take is used."""
        if self._allocatable is None:
            return None
        used: Counter[str] = Counter()
        for other, claim in self._claims.items():
            if other != uid:
                used.update(claim.amounts)
        allocatable = {name: in_units(name, quantity) for name, quantity in self._allocatable().items()}
        taken = frozenset().union(*(given for other, given in self._given.items() if other != uid))
        devices = {name: tuple(i for i in ids if (name, i) not in taken) for name, ids in self._devices.items()}
        return Room(allocatable=allocatable, used=used, devices=devices)

    def note(self, uid: PodUID, claim: Claim, waiting: Poke | None) -> None:
        """What a pod has by now. ``waiting`` is called when others may have made room, and it still waits for some."""
        before = self._claims.get(uid)
        self._claims[uid] = claim
        self._waiting.pop(uid, None)
        if waiting is not None:
            self._waiting[uid] = waiting
        if before is not None and any(claim.amounts.get(n, 0) < amount for n, amount in before.amounts.items()):
            self._room_made()

    def note_devices(self, uid: PodUID, given: Iterable[Given]) -> None:
        """Which devices the containers of a pod have by now."""
        self._given[uid] = frozenset((name, each) for one in given for name, ids in one.items() for each in ids)

    def forget(self, uid: PodUID) -> None:
        """A pod that is over takes nothing."""
        self._given.pop(uid, None)
        self._waiting.pop(uid, None)
        if self._claims.pop(uid, None) is not None:
            self._room_made()

    def _room_made(self) -> None:
        for poke in self._waiting.values():
            poke("room")
