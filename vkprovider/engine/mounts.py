"""A container's mounts in Docker's JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from vkprovider.model.create import Mount


def mount_fields(mounts: Iterable[Mount]) -> list[dict[str, Any]]:
    """In the order given."""
    seen: Counter[str] = Counter()
    fields = []
    for mount in mounts:
        fields.append(_image(mount, seen[mount.source]) if mount.image else _mount(mount))
        seen[mount.source] += 1
    return fields


def _image(mount: Mount, before: int) -> dict[str, Any]:
    """``before`` is how often the container has the same image already. Engines before 29 tell an image's mounts in a
    container apart by what it is called there; and by the beginning of its ID, too, an image is known.
    """
    part = {"ImageOptions": {"Subpath": mount.sub_path}} if mount.sub_path else {}
    called = mount.source[: len(mount.source) - before]
    return {"Type": "image", "Source": called, "Target": mount.target, "ReadOnly": True} | part


def _mount(mount: Mount) -> dict[str, Any]:
    if mount.volume:
        return {
            "Type": "volume",
            "Source": mount.source,
            "Target": mount.target,
            "ReadOnly": mount.read_only,
            "VolumeOptions": {"NoCopy": True},  # an emptyDir begins empty, whatever the image has at its place
        }
    # The engine's default is left unsaid: then it mounts even what its own directory is in, such as /, if as a slave.
    options: dict[str, Any] = {} if mount.propagation == "rprivate" else {"Propagation": mount.propagation}
    if mount.read_only:  # from API 1.44 on, mounts below would become read-only too; a kubelet leaves them alone
        options["ReadOnlyForceRecursive" if mount.recursive_read_only else "ReadOnlyNonRecursive"] = True
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": options,
    }
