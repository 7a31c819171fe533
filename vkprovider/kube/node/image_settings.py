"""How a node gets images, and when it removes them: from flags."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from vkprovider.config import ConfigError
from vkprovider.core.image_gc import ImagePolicy
from vkprovider.kube.node.resources import duration

_ALL = 100


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``registry_config`` is a file as ``docker login`` writes it, None for no credentials but those of pods."""

    registry_config: str | None = None
    policy: ImagePolicy = ImagePolicy()


def load_image_settings(registry_config: str, high: int, low: int, min_age: str, max_age: str) -> ImageSettings:
    """Raises ConfigError, whose message names the flag (image_gc_manager.go NewImageGCManager)."""
    for flag, percent in (("--image-gc-high-threshold", high), ("--image-gc-low-threshold", low)):
        if not 0 <= percent <= _ALL:
            raise ConfigError(f"{flag}: {percent} is not a percentage from 0 to 100")
    if low > high:
        raise ConfigError(f"--image-gc-low-threshold: {low} is more than --image-gc-high-threshold, {high}")
    least = duration("--minimum-image-ttl-duration", min_age)
    most = duration("--maximum-image-gc-age", max_age)
    policy = ImagePolicy(high=high, low=low, max_age=timedelta(seconds=most) if most else None)
    if least is not None:
        policy = msgspec.structs.replace(policy, min_age=timedelta(seconds=least))
    return ImageSettings(registry_config=registry_config or None, policy=policy)
