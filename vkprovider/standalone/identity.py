"""What an API server would give to objects when they are created: a uid, a creation time, a generated name; and what
it would leave out, the status that they had elsewhere.

All are derived from the run, so that a run that is resumed finds its own again.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any

from vkprovider.core.exits import timestamp
from vkprovider.model.defaults import with_selector

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery/pkg/util/rand: no vowels, so no words
_SUFFIX = 5


def identify(raw: dict[str, Any], run_id: str, ordinal: int, now: datetime) -> dict[str, Any]:
    """The object with its identity; ``ordinal`` tells apart objects of one run that share a generateName."""
    metadata = raw["metadata"]
    name = metadata.get("name") or metadata["generateName"] + letters(f"{run_id}/{ordinal}", _SUFFIX)
    uid = uuid.uuid5(uuid.NAMESPACE_OID, f"vkprovider/{run_id}/{raw['kind']}/{metadata['namespace']}/{name}")
    given = {"name": name, "uid": str(uid), "creationTimestamp": timestamp(now)}
    made = {key: value for key, value in raw.items() if key != "status"} | {"metadata": metadata | given}
    return with_selector(made) if raw["kind"] == "Job" else made


def letters(seed: str, count: int) -> str:
    """As many letters as asked for, always the same for the same seed, that spell no words."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:count])
