from __future__ import annotations

from datetime import timedelta

import pytest

from vkprovider.config import ConfigError
from vkprovider.core.image_gc import ImagePolicy
from vkprovider.kube.node.image_settings import ImageSettings
from vkprovider.kube.node.settings import NodeFlags, load_node_settings


def load(**flags: str | int) -> ImageSettings:
    return load_node_settings(NodeFlags(**flags), {}, "laptop").images  # type: ignore[arg-type]


def test_without_flags_it_is_as_with_a_kubelet_and_nobody_lends_a_login() -> None:
    assert load() == ImageSettings()
    assert ImagePolicy() == ImagePolicy(high=85, low=80, min_age=timedelta(minutes=2), max_age=None)
    assert load().registry_config is None


def test_flags() -> None:
    settings = load(
        registry_config="/etc/docker/config.json",
        image_gc_high_threshold=70,
        image_gc_low_threshold=70,
        minimum_image_ttl_duration="0s",
        maximum_image_gc_age="168h",
    )
    assert settings.registry_config == "/etc/docker/config.json"
    assert settings.policy == ImagePolicy(high=70, low=70, min_age=timedelta(0), max_age=timedelta(days=7))


def test_no_age_is_too_much_if_it_is_zero() -> None:
    assert load(maximum_image_gc_age="0s").policy.max_age is None


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"image_gc_high_threshold": 101}, "--image-gc-high-threshold: 101 is not a percentage"),
        ({"image_gc_low_threshold": -1}, "--image-gc-low-threshold: -1 is not a percentage"),
        ({"image_gc_high_threshold": 79}, "--image-gc-low-threshold: 80 is more than --image-gc-high-threshold, 79"),
        ({"minimum_image_ttl_duration": "2"}, "--minimum-image-ttl-duration: '2' is not a duration"),
        ({"maximum_image_gc_age": "a week"}, "--maximum-image-gc-age: 'a week' is not a duration"),
    ],
)
def test_what_cannot_be(flags: dict[str, str | int], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(**flags)
