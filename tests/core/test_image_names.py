"""Which strings name an image (github.com/distribution/reference)."""

from __future__ import annotations

import pytest

from vkprovider.core.image_names import invalid_image_name

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "image",
    [
        "busybox",
        "busybox:1.28",
        "library/busybox",
        "docker.io/library/busybox:1.28",
        "registry-cn-hangzhou.ack.aliyuncs.com/ack-demo/busybox:1.28",
        "localhost:5000/a",
        "127.0.0.1:5000/a/b/c:Tag_1.2-3",
        "[::1]:5000/a",
        "UPPER.example/a",
        "a__b/c--d/e.f",
        f"busybox@{DIGEST}",
        f"busybox:1.28@{DIGEST}",
        DIGEST,
        DIGEST.removeprefix("sha256:"),
        "a" * 255,
        "a:" + "t" * 128,
    ],
)
def test_names_of_images(image: str):
    assert invalid_image_name(image) is None


@pytest.mark.parametrize(
    "image",
    [
        "",
        " ",
        "busybox ",
        " busybox",
        "busybox\n",
        "busybox:",
        "busybox:1.28:2",
        "busybox:-1",
        "a:" + "t" * 129,
        "a//b",
        "/a",
        "a/",
        "-a/b",
        "a-/b/c_",
        "a___b",
        "a..b",
        "a@sha256:abc",
        f"a@{DIGEST}@{DIGEST}",
        "https://registry/a",
        "$(IMAGE)",
        "é",
        "a:é",
    ],
)
def test_what_is_no_name(image: str):
    why = "invalid reference format"
    assert invalid_image_name(image) == (
        f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {why}'
    )


@pytest.mark.parametrize("image", ["Busybox", "busyBox:1.28", "docker.io/Library/busybox", f"A@{DIGEST}"])
def test_capitals_are_told_apart(image: str):
    found = invalid_image_name(image)
    assert found is not None
    assert found.endswith(": invalid reference format: repository name must be lowercase")
