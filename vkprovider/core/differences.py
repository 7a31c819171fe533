"""Where vkprovider does not do what a kubelet does: on purpose, or because Docker cannot.

``python -m vkprovider.core.differences`` prints the reference page; ``make reference`` writes it. Every entry names the
module that it is about, so that a change there is a reason to read the entry again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vkprovider.core.difference import Difference
from vkprovider.core.differences_of_nodes import API, ENGINE, NETWORK, NODE, RESOURCES
from vkprovider.core.differences_of_pods import LIVES, SIDECARS

SECTIONS: Mapping[str, tuple[Difference, ...]] = {
    "Sidecars and the end of a pod": SIDECARS,
    "The life of containers, and what their status says": LIVES,
    "The node": NODE,
    "Resources": RESOURCES,
    "Network": NETWORK,
    "The engine": ENGINE,
    "The kubelet's API": API,
}

_NO_CGROUP = "there is no cgroup of the node, and one of a pod is part of making its containers"
_NO_BLOCK_VOLUMES = "there are no volumes of block devices"
_LOOKED_AT_ONCE = "a pod's containers are looked at in one go; while the engine does not answer, the node is not ready"

UNSENT_EVENTS: Mapping[str, str] = {
    "ExceededGracePeriod": "nothing waits for an end beyond its grace",
    "Preempting": "the node ends no pod for the sake of another",
    "FailedPodSandBoxStatus": _LOOKED_AT_ONCE,
    "FailedSync": _LOOKED_AT_ONCE,
    "FailedCreatePodContainer": _NO_CGROUP,
    "NodeAllocatableEnforced": _NO_CGROUP,
    "FailedNodeAllocatableEnforcement": _NO_CGROUP,
    "CgroupV1": "the version of the cgroups is the engine's affair",
    "SystemOOM": "the kernel's log is not read; a container's own end by memory shows in its status",
    "NetworkNotReady": "the network is Docker's, and ready whenever the engine is",
    "VolumePermissionChangeInProgress": "ownership is changed by one program in one go",
    "HostIPsIPFamilyMismatch": "the node has one address",
    "PossibleMemoryBackedVolumesOnDisk": "swap is the machine owner's affair",
    "FailedPrepareDynamicResources": "there are no dynamic resources",
    "FailedAttachVolume": _NO_BLOCK_VOLUMES,
    "SuccessfulAttachVolume": _NO_BLOCK_VOLUMES,
    "SuccessfulMountVolume": _NO_BLOCK_VOLUMES + "; the kubelet does not send it for others either",
    "FailedMapVolume": _NO_BLOCK_VOLUMES,
    "FailedMountOnFilesystemMismatch": _NO_BLOCK_VOLUMES,
    "AlreadyMountedVolume": _NO_BLOCK_VOLUMES,
    "VolumeResizeFailed": _NO_BLOCK_VOLUMES,
    "VolumeResizeSuccessful": _NO_BLOCK_VOLUMES,
    "FileSystemResizeFailed": _NO_BLOCK_VOLUMES,
    "FileSystemResizeSuccessful": _NO_BLOCK_VOLUMES,
    "FailedValidation": "it is about pods from files and URLs",
    "KubeletSetupFailed": "a node that cannot be set up says so and ends",
    "ContainerGCFailed": "a removal that fails is tried again, and said in the log",
    "MissingClusterDNS": "without `--cluster-dns` every pod has the resolver of its node, and it would be said of each",
}


def render() -> str:
    """The reference page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Where vkprovider differs from a kubelet"
    yield ""
    yield "<!-- Generated from vkprovider/core/differences.py by `make reference`. -->"
    yield ""
    yield "Everything that is not on this page is meant to be as a kubelet of Kubernetes 1.34 does it, to the wording."
    yield "Fields of a specification that are not honoured are not listed here."
    for title, differences in SECTIONS.items():
        yield from ("", f"## {title}")
        yield from _section(differences)
    yield from ("", "## Events that are not sent", "", "| Event | Why |", "|---|---|")
    yield from (f"| `{reason}` | {why} |" for reason, why in UNSENT_EVENTS.items())


def _section(differences: Iterable[Difference]) -> Iterator[str]:
    for difference in differences:
        yield ""
        yield f"- **A kubelet:** {difference.kubelet}"
        yield f"  **Here:** {difference.here}"
        yield f"  **Why:** {difference.why} (`{difference.module}`)"


if __name__ == "__main__":
    print(render(), end="")
