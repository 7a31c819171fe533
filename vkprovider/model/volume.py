"""The volume sources that vkprovider materialises."""

from __future__ import annotations

from vkprovider.model.base import Model


class KeyToPath(Model, frozen=True, kw_only=True):
    key: str
    path: str
    mode: int | None = None


class EmptyDir(Model, frozen=True, kw_only=True):
    """A directory that lives as long as the pod. ``medium`` is "" (disk) or "Memory"."""

    medium: str = ""
    size_limit: str | int | None = None


class ConfigMapVolume(Model, frozen=True, kw_only=True):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = 0o644
    optional: bool = False


class SecretVolume(Model, frozen=True, kw_only=True):
    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = 0o644
    optional: bool = False


class HostPath(Model, frozen=True, kw_only=True):
    """A path of the engine's host. ``type`` is one of the checks of core/v1 HostPathType, "" for none."""

    path: str
    type: str = ""


class Volume(Model, frozen=True, kw_only=True):
    name: str
    empty_dir: EmptyDir | None = None
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    host_path: HostPath | None = None
