"""The files of volumes that are made from objects: configMap, secret, downwardAPI and projected volumes.

Messages are those of pkg/volume/{configmap,secret,downwardapi,projected} and pkg/volume/util/atomic_writer.go.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import msgspec

from vkprovider.core.downward import Quantity, container_named, metadata_field, resource_field
from vkprovider.core.objects import Objects, config_map_bytes, content_of, secret_bytes
from vkprovider.core.pod_certificates import credential_files, credential_ref, credential_refs
from vkprovider.core.security import common_user
from vkprovider.core.tokens import Tokens, token_ref
from vkprovider.core.trust_anchors import bundle_ref, trust_anchors
from vkprovider.errors import NotGranted, SpecError, VkError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, split_reference
from vkprovider.model.volume import (
    CertificateProjection,
    ConfigMapVolume,
    DownwardFile,
    KeyToPath,
    ObjectProjection,
    ProjectedVolume,
    SecretVolume,
    TokenProjection,
    Volume,
    VolumeProjection,
)

PRIVATE_MODE = 0o600  # with an fsGroup the group may read it too

_MAX_PATH = 4096
_MAX_FILE_NAME = 255


class File(msgspec.Struct, frozen=True, kw_only=True):
    """``path`` is relative to the volume, clean, and cannot leave it. ``owner`` is a uid, None for this process's."""

    path: str
    data: bytes
    mode: int
    owner: int | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What volumes are made from, as the shell found it: all that ``needed_objects`` and ``needed_tokens`` name."""

    objects: Objects = {}
    tokens: Tokens = {}


class NodeShare(msgspec.Struct, frozen=True, kw_only=True):
    """What of the node shows in volumes. ``memory`` in bytes bounds volumes in memory; ``allocatable`` are quantities.

    Where vkprovider ``may_chown``, what is the pod's own belongs to the user that its containers run as. Without
    ``labels`` there is no Node, and volumes for certain nodes are for this machine too.
    """

    memory: int
    allocatable: Mapping[str, Quantity] = {}
    may_chown: bool = True
    labels: Mapping[str, str] | None = None


def object_refs(pod: Pod, volume: Volume) -> Iterator[ObjectRef]:
    """The objects a volume is made from, certificates of the pod's own included; what is no reference is left out."""
    for kind, name in _named(volume):
        with suppress(SpecError):
            yield _ref(kind, pod, name)
    for source in _sources(volume):
        if source.cluster_trust_bundle is not None:
            yield bundle_ref(source.cluster_trust_bundle)
    for ref, _ in credential_refs(volume, pod.metadata.namespace):
        yield ref


def shows_elsewhere(pod: Pod, volume: Volume) -> bool:
    """Whether an object of another namespace than the pod's is among those that the volume is made from."""
    return any(ref.namespace not in ("", pod.metadata.namespace) for ref in object_refs(pod, volume))


def shows_pod(volume: Volume) -> bool:
    """Whether files of the volume change with the pod's labels and annotations."""
    return volume.downward_api is not None or any(source.downward_api is not None for source in _sources(volume))


def is_projection(volume: Volume) -> bool:
    """Whether the volume consists of files that vkprovider writes, and containers may only read."""
    sources = (volume.config_map, volume.secret, volume.downward_api, volume.projected)
    return any(source is not None for source in sources)


def is_secret(volume: Volume) -> bool:
    """Whether there are Secrets, tokens or keys among the files of the volume."""
    sources = _sources(volume)
    secrets = (part for each in sources for part in (each.secret, each.service_account_token, each.pod_certificate))
    return volume.secret is not None or any(part is not None for part in secrets)


def projected_files(pod: Pod, volume: Volume, fetched: Fetched, node: NodeShare) -> tuple[File, ...]:
    """The files of such a volume. Raises VkError where it cannot be made; its words name all that is missing, and
    NotGranted alone where the pod may not have all of it.
    """
    work = _Projection(pod, fetched, node)
    if volume.config_map is not None:
        return _distinct(work.config_map(volume.config_map.name, volume.config_map, volume.config_map.default_mode))
    if volume.secret is not None:
        return _distinct(work.secret(volume.secret.secret_name, volume.secret, volume.secret.default_mode))
    if volume.downward_api is not None:
        return _distinct(work.downward(volume.downward_api.items, volume.downward_api.default_mode))
    return _distinct(work.projected(volume.name, volume.projected or ProjectedVolume()))


class _Projection:
    """The sources of one pod's volumes, each turned into files."""

    def __init__(self, pod: Pod, fetched: Fetched, node: NodeShare) -> None:
        self._pod = pod
        self._fetched = fetched
        self._node = node

    def config_map(self, name: str, source: ConfigMapVolume | ObjectProjection, mode: int) -> list[File]:
        raw = content_of(_ref("ConfigMap", self._pod, name), self._fetched.objects, optional=source.optional)
        missing = None if source.optional else "configmap references non-existent config key"
        return _chosen(config_map_bytes(raw), source.items, mode, missing)

    def secret(self, name: str, source: SecretVolume | ObjectProjection, mode: int) -> list[File]:
        raw = content_of(_ref("Secret", self._pod, name), self._fetched.objects, optional=source.optional)
        missing = None if source.optional else "references non-existent secret key"
        return _chosen(secret_bytes(raw), source.items, mode, missing)

    def downward(self, items: Iterable[DownwardFile], mode: int) -> list[File]:
        return [
            File(path=_clean(i.path), data=self._told(i).encode(), mode=mode if i.mode is None else i.mode)
            for i in items
        ]

    def projected(self, name: str, volume: ProjectedVolume) -> list[File]:
        files: list[File] = []
        problems: list[str] = []
        for place, source in enumerate(volume.sources):
            try:
                files += self._source(source, volume.default_mode, name, place)
            except NotGranted:
                raise
            except VkError as exc:
                problems.append(str(exc))
        if problems:
            raise SpecError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
        return files

    def _source(self, source: VolumeProjection, mode: int, volume: str, place: int) -> list[File]:
        if source.config_map is not None:
            return self.config_map(source.config_map.name, source.config_map, mode)
        if source.secret is not None:
            return self.secret(source.secret.name, source.secret, mode)
        if source.downward_api is not None:
            return self.downward(source.downward_api.items, mode)
        if source.service_account_token is not None:
            return [self._token(source.service_account_token, mode)]
        if source.cluster_trust_bundle is not None:
            bundle = source.cluster_trust_bundle
            return [self._private(bundle.path, trust_anchors(bundle, self._fetched.objects), mode)]
        if source.pod_certificate is not None:
            return self._credential(source.pod_certificate, mode, volume, place)
        known = "configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle and podCertificate"
        raise SpecError(f"{volume}: source {place} is of a kind that vkprovider does not have: it projects {known}")

    def _token(self, source: TokenProjection, mode: int) -> File:
        token = self._fetched.tokens[token_ref(self._pod, source)]
        if isinstance(token, VkError):
            raise SpecError(f"failed to fetch token: {token}")
        return self._private(source.path, token.value.encode(), mode)

    def _credential(self, source: CertificateProjection, mode: int, volume: str, place: int) -> list[File]:
        ref = credential_ref(self._pod.metadata.namespace, volume, place)
        raw = content_of(ref, self._fetched.objects, optional=False)
        return [self._private(path, data, mode) for path, data in credential_files(source, raw)]

    def _private(self, path: str, data: bytes, mode: int) -> File:
        """A file that belongs to the user of the containers, where there is one."""
        user = common_user(self._pod) if self._node.may_chown else None
        if user is not None or self._pod.spec.security_context.fs_group is not None:
            mode = PRIVATE_MODE
        return File(path=_clean(path), data=data, mode=mode, owner=user)

    def _told(self, item: DownwardFile) -> str:
        if item.field_ref is not None:
            return metadata_field(self._pod, item.field_ref.field_path)
        selector = item.resource_field_ref
        if selector is None:
            return ""
        container = container_named(self._pod, selector.container_name)
        return resource_field(selector, container, self._node.allocatable)


def _sources(volume: Volume) -> tuple[VolumeProjection, ...]:
    return volume.projected.sources if volume.projected is not None else ()


def _named(volume: Volume) -> Iterator[tuple[str, str]]:
    """The kind and the name, as it is written, of each object."""
    if volume.config_map is not None:
        yield "ConfigMap", volume.config_map.name
    if volume.secret is not None:
        yield "Secret", volume.secret.secret_name
    for source in _sources(volume):
        if source.config_map is not None:
            yield "ConfigMap", source.config_map.name
        if source.secret is not None:
            yield "Secret", source.secret.name


def _ref(kind: str, pod: Pod, name: str) -> ObjectRef:
    """Raises SpecError where it is neither a name nor ``namespace/name``."""
    return ObjectRef(kind, *split_reference(name, pod.metadata.namespace))


def _chosen(
    content: Mapping[str, bytes], items: Iterable[KeyToPath], default_mode: int, missing: str | None
) -> list[File]:
    """All keys, or the chosen ones. ``missing`` is the complaint about an absent key."""
    files = []
    for item in tuple(items) or tuple(KeyToPath(key=key, path=key) for key in sorted(content)):
        if item.key in content:
            mode = default_mode if item.mode is None else item.mode
            files.append(File(path=_clean(item.path), data=content[item.key], mode=mode))
        elif missing is not None:
            raise SpecError(f"{missing}: {item.key}")
    return files


def _distinct(files: Iterable[File]) -> tuple[File, ...]:
    """Of several files at one path, the last. Raises SpecError where one would have to be a directory as well."""
    at = {file.path: file for file in files}
    for path in at:
        above = posixpath.dirname(path)
        while above:
            if above in at:
                raise SpecError(f"invalid path: must not be below the file {above}: {path}")
            above = posixpath.dirname(above)
    return tuple(at.values())


def _clean(path: str) -> str:
    """A path inside a volume. Raises SpecError by the rules of pkg/volume/util/atomic_writer.go validatePath."""
    elements = path.split("/")
    if not path:
        raise SpecError('invalid path: must not be empty: ""')
    if posixpath.isabs(path):
        raise SpecError(f"invalid path: must be relative path: {path}")
    if len(path) > _MAX_PATH:
        raise SpecError(f"invalid path: must be less than or equal to {_MAX_PATH} characters")
    if not without_backsteps(path):
        raise SpecError(f"invalid path: must not contain '..': {path}")
    if any(len(element) > _MAX_FILE_NAME for element in elements):
        raise SpecError(f"invalid path: filenames must be less than or equal to {_MAX_FILE_NAME} characters")
    if elements[0].startswith(".."):
        raise SpecError(f"invalid path: must not start with '..': {path}")
    normal = posixpath.normpath(path)
    if normal == ".":
        raise SpecError(f"invalid path: must be that of a file: {path}")
    return normal


def without_backsteps(path: str) -> bool:
    """Whether no element of a path is ``..`` (pkg/volume/validation ValidatePathNoBacksteps)."""
    return ".." not in path.split("/")
