"""Where vkprovider does not do what a kubelet does: on purpose, or because Docker cannot.

``python -m vkprovider.core.differences`` prints the reference page; ``make reference`` writes it. Every entry names the
module that it is about, so that a change there is a reason to read the entry again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec


class Difference(msgspec.Struct, frozen=True):
    """``kubelet`` says what a kubelet of 1.34 does, ``here`` what vkprovider does, ``why`` gives the reason."""

    module: str
    kubelet: str
    here: str
    why: str


_SIDECARS = (
    Difference(
        "vkprovider.core.sidecars",
        "Only init containers with `restartPolicy: Always` are sidecars.",
        "Regular containers with a mark in their environment are sidecars too.",
        "It is what vkprovider is for: see [the sidecar rules](sidecars.md).",
    ),
    Difference(
        "vkprovider.core.exits",
        "A sidecar that had to be killed at the end of its pod shows exit code 137 and reason `Error`.",
        "It shows 0 and `Completed`, with the true code in the message. `--forgive none` restores the kubelet's way.",
        "Whoever reads container statuses would take a Job that went well for a failed one.",
    ),
    Difference(
        "vkprovider.core.termination",
        "A second deletion with a shorter grace does not shorten a hook or a wait that has begun.",
        "The deadline of a pod's end moves forward at once, for whatever is under way.",
        "The shorter grace is what the user asked for. The kubelet's own source has it as a thing to be done.",
    ),
    Difference(
        "vkprovider.core.stopping",
        "A preStop hook that is not done in time is left to run until the container dies.",
        "It is ended at the deadline, before the stop signal is sent.",
        "A hook may otherwise still work on files while its container shuts down.",
    ),
)

_LIVES = (
    Difference(
        "vkprovider.node.pod_worker",
        "Everything about a pod happens one after the other: while an image is pulled or a hook runs, no container of "
        "the pod is restarted and no status is computed.",
        "Each container has its own course. Only the order of the start and of the end is kept.",
        "A slow pull of one container is no reason to leave another one dead.",
    ),
    Difference(
        "vkprovider.core.restarts",
        "The crash back-off is forgotten when the kubelet restarts, and over at the sync that follows its end.",
        "It is in the labels of the containers, survives a restart of vkprovider, and is over to the second.",
        "A node agent's restart says nothing about a container that crashes.",
    ),
    Difference(
        "vkprovider.core.container_status",
        "A container that is about to be restarted shows as `terminated` until the next sync.",
        "It shows as `waiting`, its end in `lastState`.",
        "The API server refuses a marked sidecar the way back from `terminated` under `restartPolicy: Never`.",
    ),
    Difference(
        "vkprovider.core.waiting",
        "A container that has been created and not yet started waits without a reason.",
        "It waits with `ContainerCreating` or `PodInitializing`, as before it was created.",
        "A moment without a reason tells users less than one with it.",
    ),
    Difference(
        "vkprovider.core.lost",
        "Under `Never` too, a container that someone removed is started again as long as any other runs.",
        "An app is as long as another app runs; with nothing but sidecars left it has failed, and so has its pod. An "
        "ephemeral container never is.",
        "Sidecars keep no pod alive, and ephemeral containers run once.",
    ),
    Difference(
        "vkprovider.core.pulls",
        "A container that is to have another image is stopped, then the image is pulled. Under `Never` it has failed "
        "where there is none to be had.",
        "The image is pulled while the old run goes on, which is stopped when the new one can start.",
        "A pull takes its time, and an image that was misspelled is put right with one more change: nothing was down.",
    ),
    Difference(
        "vkprovider.core.waiting",
        "While the postStart of a container that runs again is under way, its status is that from before.",
        "It waits with `ContainerCreating` or `PodInitializing`, as when it runs for the first time.",
        "A back-off that is over is no reason to wait.",
    ),
    Difference(
        "vkprovider.node.prober",
        "The periods of a probe count from when its pod was first seen, and are spread after a restart of the kubelet.",
        "They count from the container's start.",
        "It costs no more, and what starts is found ready sooner.",
    ),
    Difference(
        "vkprovider.core.conditions",
        "Conditions may speak of containers `with unknown status`, and give `UnknownContainerStatuses` as a reason.",
        "Every container of the specification has a status from the first look on, so they never do.",
        "There is no moment at which the status of a container is missing.",
    ),
    Difference(
        "vkprovider.core.exits",
        "On Docker (by cri-dockerd) a failed start is `ContainerCannotRun` with the engine's code.",
        "It is `StartError` with code 128, as with containerd.",
        "Most clusters run containerd, and what watches pods knows its words.",
    ),
    Difference(
        "vkprovider.engine.process_users",
        "`status.containerStatuses[].user` comes from the runtime.",
        "It is read from `/proc` when the container is first seen running, and missing where that cannot be: on an "
        "engine elsewhere, with user namespaces, or when the process has changed its user by itself.",
        "Docker does not say which groups it gave to a process.",
    ),
    Difference(
        "vkprovider.core.living",
        "`BackOff` events are sent again at every sync during a back-off.",
        "One is sent for each back-off.",
        "The count of such an event says how often the kubelet looked, not how often something failed.",
    ),
)

_NODE = (
    Difference(
        "vkprovider.core.admission",
        "A critical pod that does not fit preempts others.",
        "It is rejected, as others are.",
        "Critical pods are the business of a cluster's real nodes.",
    ),
    Difference(
        "vkprovider.core.thresholds",
        "There are soft eviction thresholds, minimum reclaims, and a threshold for the memory of all pods together.",
        "There are hard thresholds for the machine; pods are ended until none is crossed.",
        "The options say what there is: `--eviction-hard`.",
    ),
    Difference(
        "vkprovider.core.reclaim",
        "Where inodes run low, pods are ended by the inodes that they use.",
        "They are ended by the bytes that they use on disk.",
        "Most who have many files have many bytes, and one measure is enough.",
    ),
    Difference(
        "vkprovider.core.devices",
        "Devices are offered by device plugins, which are asked for each container.",
        "NVIDIA's GPUs are found where the engine knows how to give them to containers, and `--device` names others.",
        "An engine that can do it needs no plugin. Device plugins speak to a kubelet's socket.",
    ),
    Difference(
        "vkprovider.kube.pod_source",
        "After a restart of the kubelet, all pods are admitted again, and may be rejected though they run.",
        "A pod that was let in once stays.",
        "A restart of the agent must change nothing for pods.",
    ),
    Difference(
        "vkprovider.kube.pod_source",
        "Pods may also come from files and URLs, with mirror pods in the API.",
        "They come from the API server alone; `vkprovider run` runs files without one.",
        "A virtual node has no control plane to start.",
    ),
    Difference(
        "vkprovider.core.daemonsets",
        "Pods of DaemonSets run like all others.",
        "By default they are left alone, and an event says so. A setting lets them run.",
        "They mostly serve the machine of a real node, and would serve this one twice.",
    ),
    Difference(
        "vkprovider.kube.node_registrar",
        "With graceful node shutdown set up, the shutdown of the machine ends its pods by priority.",
        "When vkprovider is stopped the node is not ready and its containers go on; the next start takes them over. "
        "With `--drain` all pods end first, each in its own order.",
        "Stopping the agent is part of every update of it. The machine's shutdown is Docker's affair.",
    ),
    Difference(
        "vkprovider.core.image_gc",
        "Any image that nobody uses may be removed when the disk fills up.",
        "Only those that this node has pulled, that had no other name since, and that no container of the engine uses.",
        "The engine may be its user's too: see [images](../how-to/images.md).",
    ),
    Difference(
        "vkprovider.engine.logins",
        "Images are also pulled with the credentials in the home of whoever runs the kubelet.",
        "With those of the file that `--registry-config` names, or none.",
        "A user's own `docker login` is not for everybody who may create pods.",
    ),
    Difference(
        "vkprovider.node.image_volumes",
        "Image volumes are mounted by the container runtime.",
        "On engines before API 1.48 containers get a copy, in which nothing can be executed; all of it belongs to the "
        "user where vkprovider is not run by root.",
        "Docker mounts images since version 28.",
    ),
)

_RESOURCES = (
    Difference(
        "vkprovider.core.create",
        "Each pod has a cgroup of its own, with the sum of its limits, below one for its quality of service.",
        "A pod has one if it has limits as a whole, or with `--pod-max-pids`, on a Docker engine of this machine that "
        "manages cgroups by files. Elsewhere limits of the pod hold for each container by itself, and an event "
        "`PodLimitsNotShared` says so.",
        "Docker keeps cgroups per container, and systemd lets nobody make one below its own.",
    ),
    Difference(
        "vkprovider.core.resources",
        "Under cgroup v2 the whole container is killed when one of its processes exceeds the memory limit.",
        "The kernel picks a process; the container ends when that is its first one.",
        "Docker has no setting for `memory.oom.group`.",
    ),
    Difference(
        "vkprovider.core.resize",
        "A smaller memory limit is held against what the pod uses as well as against what the container does.",
        "It is held against what the container uses.",
        "A pod with limits as a whole cannot be resized in 1.34, and others have no cgroup of their own.",
    ),
    Difference(
        "vkprovider.core.resize",
        "1.34 sends an event when a resize is completed; that it began, must wait or cannot be is only in conditions.",
        "`ResizeStarted`, `ResizeDeferred`, `ResizeInfeasible` and `ResizeError` are sent too, in the words of 1.35.",
        "Events are where users look first.",
    ),
    Difference(
        "vkprovider.node.ledger",
        "Resizes that wait are tried again by priority, quality of service and age.",
        "All are tried when a pod makes room, and every three minutes; whoever asks first is served first.",
        "On one machine, a queue of resizes that wait is rare and short.",
    ),
)

_ENGINE = (
    Difference(
        "vkprovider.engine.convert",
        "Logs are in `/var/log/pods`, in CRI's format.",
        "They are in Docker's own json-file logs, with the kubelet's sizes. They are written in CRI's format besides "
        "for pods that mount them, and for all with `--pod-logs-dir`; what is rotated there is not compressed.",
        "So `docker logs` works on them, and nothing is written twice for nothing.",
    ),
    Difference(
        "vkprovider.model.labels",
        "Containers bear `io.kubernetes.docker.type`, by which dockershim and cri-dockerd know them.",
        "That label is left out; all others of theirs are there.",
        "A kubelet with cri-dockerd on the same engine would take the containers for its own, and remove them.",
    ),
    Difference(
        "vkprovider.engine.sandbox_source",
        "Sandboxes run the `pause` image of a registry.",
        "They run an image that is part of vkprovider and is loaded into the engine when it is first needed.",
        "The first pod of a machine without a registry must run too.",
    ),
    Difference(
        "vkprovider.node.subpaths",
        "A `subPath` works in every volume, and cannot be led elsewhere by symbolic links while a container starts.",
        "So it is where vkprovider runs as root on the engine's machine, outside of containers. Elsewhere it is "
        "refused in an `emptyDir` with `medium: Memory`, and a container that swaps a directory for a link in the very "
        "moment in which another one of its pod starts may make that one see more of the host.",
        "It takes a mount of vkprovider's own that the engine sees.",
    ),
    Difference(
        "vkprovider.node.secret_memory",
        "Secrets and tokens are on a tmpfs for each volume.",
        "They are on one for all pods, where vkprovider runs as root on the engine's machine, outside of containers. "
        "Elsewhere they are on disk while their pods live, in directories closed to other users, and the log says so.",
        "It takes a mount of vkprovider's own that the engine sees.",
    ),
    Difference(
        "vkprovider.core.expansion",
        "`$(NAME)` in variables and arguments may grow as it likes.",
        "What grows over 128 KiB, or 6 MiB in all, is refused: `CreateContainerConfigError`.",
        "Linux gives no more to a process, and a few lines of variables made of variables would fill the memory.",
    ),
    Difference(
        "vkprovider.core.container_status",
        "`recursiveReadOnly` makes the mounts below a read-only mount read-only, where the runtime can.",
        "It is never in force: a read-only mount says `Disabled`.",
        "Docker can do so only since 25, and the oldest engine that vkprovider works on is 20.10.",
    ),
)

_NETWORK = (
    Difference(
        "vkprovider.core.network_files",
        "`dnsPolicy: ClusterFirst`, the default, gives pods the cluster's DNS.",
        "It gives them the resolver of their node, as `Default` does, unless `--cluster-dns` names another.",
        "The cluster's DNS is behind its service network, of which the machine of a virtual node is seldom a part.",
    ),
    Difference(
        "vkprovider.kube.pod_network",
        "`KUBERNETES_SERVICE_HOST` and its like are the address and port of the Service `kubernetes`.",
        "They are those by which the node itself reaches the API server, in a kind cluster those of its control "
        "plane, or what `--service-host` says. Where the node speaks to a loopback address they are the Service's.",
        "Only kube-proxy leads from a Service's address to its pods, and the machine of a virtual node seldom has it.",
    ),
    Difference(
        "vkprovider.core.security",
        "A pod that asks for an AppArmor profile is rejected where the host has no AppArmor.",
        "It runs, and a Warning event `NotConfined` says what its containers are not confined by. So it is with "
        "seccomp, SELinux, and the capability SYS_RESOURCE: without it a privileged container has a read-only `/sys`.",
        "What a host withholds is nothing that its user could grant.",
    ),
)

_API = (
    Difference(
        "vkprovider.engine.execs",
        "What becomes of a command whose `kubectl exec` is gone is the container runtime's affair; some let it run on.",
        "It sees the end of its input, and if that does not end it within a second it is killed.",
        "Docker would keep it for ever, and nobody would know of it.",
    ),
    Difference(
        "vkprovider.server.serving",
        "Where port 10250 is taken the kubelet does not start.",
        "Any free port is taken instead, and registered; with `--port` it is that port or none.",
        "Next to a kubelet, or other virtual nodes, the usual port is never free.",
    ),
)

SECTIONS: Mapping[str, tuple[Difference, ...]] = {
    "Sidecars and the end of a pod": _SIDECARS,
    "The life of containers, and what their status says": _LIVES,
    "The node": _NODE,
    "Resources": _RESOURCES,
    "Network": _NETWORK,
    "The engine": _ENGINE,
    "The kubelet's API": _API,
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
