"""What becomes of pods and their containers otherwise than on a kubelet: see ``core.differences``."""

from __future__ import annotations

from vkprovider.core.difference import Difference

SIDECARS = (
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
        "vkprovider.core.stop_steps",
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

LIVES = (
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
