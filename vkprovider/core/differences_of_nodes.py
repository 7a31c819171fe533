"""What a node, its engine and its network do otherwise than a kubelet: see ``core.differences``."""

from __future__ import annotations

from vkprovider.core.difference import Difference

NODE = (
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
        "vkprovider.kube.pods.source",
        "After a restart of the kubelet, all pods are admitted again, and may be rejected though they run.",
        "A pod that was let in once stays.",
        "A restart of the agent must change nothing for pods.",
    ),
    Difference(
        "vkprovider.kube.pods.source",
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
        "vkprovider.kube.node.registrar",
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
        "Image volumes are mounted by the container runtime, so that nothing in them can be executed.",
        "Engines from API 1.48 on mount them so that programs can be executed. On others containers get a copy, in "
        "which they cannot; all of it belongs to the user where vkprovider is not run by root.",
        "Docker mounts images since version 28, and knows no `noexec` for them.",
    ),
)

RESOURCES = (
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

ENGINE = (
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
        "vkprovider.engine.convert",
        "What the host mounts below a `hostPath` later is seen only where `mountPropagation` says so.",
        "Below a path that the engine's own directory is in, such as `/`, it is always seen.",
        "Docker mounts such a path as a slave or not at all.",
    ),
    Difference(
        "vkprovider.core.admission",
        "A pod with `hostUsers: false` waits where the runtime has no user namespaces, with `FailedCreatePodSandBox`.",
        "It is rejected, in the same words.",
        "It would wait for ever: Docker has user namespaces for all containers or none.",
    ),
    Difference(
        "vkprovider.core.runtime_classes",
        "All RuntimeClasses are watched, and remembered while the API server cannot be reached.",
        "A pod's is read when its sandbox is made, which waits for the API server if need be.",
        "Few pods have one, and a sandbox lasts as long as its pod.",
    ),
    Difference(
        "vkprovider.core.trust_anchors",
        "The certificates of a `clusterTrustBundle` source are shuffled anew with every start.",
        "They are in the order of their bytes.",
        "A file whose content is the same is not written again.",
    ),
    Difference(
        "vkprovider.kube.references.pod_certificates",
        "A PodCertificateRequest that was deleted undecided is made again ten minutes after it was made.",
        "At once, and with the same key.",
        "The request is watched by name, so its deletion is known.",
    ),
)

NETWORK = (
    Difference(
        "vkprovider.core.network_files",
        "`dnsPolicy: ClusterFirst`, the default, gives pods the cluster's DNS.",
        "It gives them the resolver of their node, as `Default` does, unless `--cluster-dns` names another.",
        "The cluster's DNS is behind its service network, of which the machine of a virtual node is seldom a part.",
    ),
    Difference(
        "vkprovider.kube.node.pod_network",
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

API = (
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
