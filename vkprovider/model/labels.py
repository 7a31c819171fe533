"""The labels on vkprovider's containers, and the names they bear. Labels are the database: see docs/explanation.

``io.kubernetes.*`` are dockershim's keys, so that tools that know them work. ``io.kubernetes.docker.type`` is left
out on purpose: by it a kubelet with cri-dockerd on the same engine would take these containers for its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from vkprovider.model.container import Container, ResourceRequirements
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodUID

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"

NODE = "vkprovider.node"  # whose it is: the one label by which vkprovider finds its own
TYPE = "vkprovider.type"
ATTEMPT = "vkprovider.attempt"
SANDBOX = "vkprovider.sandbox"
IMAGE = "vkprovider.image"
DIGEST = "vkprovider.image-digest"
BACKOFF = "vkprovider.backoff-seconds"
HASH = "vkprovider.hash"
RESOURCES = "vkprovider.resources"

SANDBOX_TYPE = "sandbox"
CONTAINER_TYPE = "container"
SANDBOX_NAME = "POD"


class ContainerIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a container that is fixed when it is created."""

    node: str
    type: str  # SANDBOX_TYPE or CONTAINER_TYPE
    pod_name: str
    pod_namespace: str
    pod_uid: PodUID
    name: str  # of the container; SANDBOX_NAME for a sandbox
    attempt: int = 0
    sandbox_id: ContainerID = ContainerID("")
    image: str = ""
    image_digest: str = ""  # name@sha256:..., where the image came from a registry
    backoff_seconds: int = 0
    hash: str = ""
    resources: str = ""  # what it is created with, see ``encode_resources``

    @property
    def engine_name(self) -> str:
        """The deterministic name; a second create of the same thing is refused by the engine."""
        return f"k8s_{self.name}_{self.pod_name}_{self.pod_namespace}_{self.pod_uid}_{self.attempt}"


def encode(identity: ContainerIdentity) -> dict[str, str]:
    """The identity as labels."""
    return {
        NODE: identity.node,
        TYPE: identity.type,
        POD_NAME: identity.pod_name,
        POD_NAMESPACE: identity.pod_namespace,
        POD_UID: identity.pod_uid,
        CONTAINER_NAME: identity.name,
        ATTEMPT: str(identity.attempt),
        SANDBOX: identity.sandbox_id,
        IMAGE: identity.image,
        DIGEST: identity.image_digest,
        BACKOFF: str(identity.backoff_seconds),
        HASH: identity.hash,
        RESOURCES: identity.resources,
    }


def decode(labels: Mapping[str, str]) -> ContainerIdentity | None:
    """The identity that labels carry, or None where they are not vkprovider's or were tampered with."""
    try:
        return ContainerIdentity(
            node=labels[NODE],
            type=labels[TYPE],
            pod_name=labels[POD_NAME],
            pod_namespace=labels[POD_NAMESPACE],
            pod_uid=PodUID(labels[POD_UID]),
            name=labels[CONTAINER_NAME],
            attempt=int(labels[ATTEMPT]),
            sandbox_id=ContainerID(labels.get(SANDBOX, "")),
            image=labels.get(IMAGE, ""),
            image_digest=labels.get(DIGEST, ""),
            backoff_seconds=int(labels.get(BACKOFF, "0")),
            hash=labels.get(HASH, ""),
            resources=labels.get(RESOURCES, ""),
        )
    except (KeyError, ValueError):
        return None


def encode_resources(resources: ResourceRequirements) -> str:
    """Requests and limits as JSON."""
    return msgspec.json.encode(resources).decode()


def decode_resources(text: str) -> ResourceRequirements | None:
    """What ``encode_resources`` wrote, None where there is nothing to read."""
    try:
        return msgspec.json.decode(text, type=ResourceRequirements)
    except msgspec.MsgspecError:
        return None


def spec_hash(container: Container) -> str:
    """What decides whether a running container no longer matches its spec: name and image alone.

    As upstream since 1.31 (pkg/kubelet/container/helpers.go HashContainer): other fields never restart anything.
    """
    return hashlib.sha256(f"{container.name}\0{container.image}".encode()).hexdigest()[:16]


def sandbox_identity(pod: Pod, node: str, attempt: int) -> ContainerIdentity:
    return ContainerIdentity(
        node=node,
        type=SANDBOX_TYPE,
        pod_name=pod.metadata.name,
        pod_namespace=pod.metadata.namespace,
        pod_uid=pod.uid,
        name=SANDBOX_NAME,
        attempt=attempt,
    )
