"""The page of differences from a kubelet, and the kubelet's events one by one: where each is sent, or why not."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

import pytest

from vkprovider.core.differences import SECTIONS, UNSENT_EVENTS, render

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "differences-from-kubelet.md"
DIFFERENCES = [difference for section in SECTIONS.values() for difference in section]

# pkg/kubelet/events/event.go, pkg/kubelet/lifecycle and pkg/volume, without what only Windows, cgroup managers and
# controllers send: the reason, and the module that sends it.
SENT = {
    "Pulling": "vkprovider.core.news",
    "Pulled": "vkprovider.core.news",
    "Failed": "vkprovider.core.news",
    "BackOff": "vkprovider.core.living",
    "ErrImageNeverPull": "vkprovider.core.news",
    "InspectFailed": "vkprovider.core.news",
    "Created": "vkprovider.core.news",
    "Started": "vkprovider.core.news",
    "Killing": "vkprovider.core.draft",
    "FailedPostStartHook": "vkprovider.core.news",
    "FailedPreStopHook": "vkprovider.core.news",
    "LifecycleHTTPFallback": "vkprovider.node.hooks",
    "Unhealthy": "vkprovider.core.probing",
    "ProbeWarning": "vkprovider.core.probing",
    "DeadlineExceeded": "vkprovider.core.record",
    "SandboxChanged": "vkprovider.core.living",
    "FailedCreatePodSandBox": "vkprovider.core.news",
    "FailedKillPod": "vkprovider.core.news",
    "FailedMount": "vkprovider.core.upkeep",
    "FailedToRetrieveImagePullSecret": "vkprovider.node.pulling",
    "DNSConfigForming": "vkprovider.node.performer",
    "ResizeStarted": "vkprovider.core.resize",
    "ResizeCompleted": "vkprovider.core.resize",
    "ResizeDeferred": "vkprovider.core.resize",
    "ResizeInfeasible": "vkprovider.core.resize",
    "ResizeError": "vkprovider.core.resize",
    # A pod that is not let in: the reason of the rejection is the event's.
    "Evicted": "vkprovider.core.admission",
    "NodeAffinity": "vkprovider.core.admission",
    "NodePorts": "vkprovider.core.admission",
    "TaintToleration": "vkprovider.core.admission",
    "PodOSSelectorNodeLabelDoesNotMatch": "vkprovider.core.admission",
    "PodOSNotSupported": "vkprovider.core.admission",
    "NodeShutdown": "vkprovider.core.admission",
    "SupplementalGroupsPolicyNotSupported": "vkprovider.core.admission",
    "SysctlForbidden": "vkprovider.core.admission",
    "UnexpectedAdmissionError": "vkprovider.core.devices",
    # The node's own.
    "EvictionThresholdMet": "vkprovider.node.evictor",
    "InvalidDiskCapacity": "vkprovider.node.image_collector",
    "FreeDiskSpaceFailed": "vkprovider.node.image_collector",
    "ImageGCFailed": "vkprovider.node.image_collector",
    "Starting": "vkprovider.kube.node.registrar",
    "Rebooted": "vkprovider.kube.node.registrar",
    "Shutdown": "vkprovider.kube.node.registrar",
    "NodeReady": "vkprovider.kube.node.conditions",
    "NodeNotReady": "vkprovider.kube.node.conditions",
    "NodeHasSufficientMemory": "vkprovider.kube.node.conditions",
    "NodeHasInsufficientMemory": "vkprovider.kube.node.conditions",
    "NodeHasNoDiskPressure": "vkprovider.kube.node.conditions",
    "NodeHasDiskPressure": "vkprovider.kube.node.conditions",
    "NodeHasSufficientPID": "vkprovider.kube.node.conditions",
    "NodeHasInsufficientPID": "vkprovider.kube.node.conditions",
    "NodeSchedulable": "vkprovider.kube.node.registrar",
    "NodeNotSchedulable": "vkprovider.kube.node.registrar",
}

# All constants of pkg/kubelet/events/event.go of 1.34, and what other files of the kubelet send.
KUBELETS = """
    AlreadyMountedVolume BackOff CgroupV1 ContainerGCFailed Created DNSConfigForming DeadlineExceeded ErrImageNeverPull
    Evicted EvictionThresholdMet ExceededGracePeriod Failed FailedAttachVolume FailedCreatePodContainer
    FailedCreatePodSandBox FailedKillPod FailedMapVolume FailedMount FailedMountOnFilesystemMismatch
    FailedNodeAllocatableEnforcement FailedPodSandBoxStatus FailedPostStartHook FailedPreStopHook
    FailedPrepareDynamicResources FailedSync FailedToRetrieveImagePullSecret FailedValidation FileSystemResizeFailed
    FileSystemResizeSuccessful FreeDiskSpaceFailed HostIPsIPFamilyMismatch ImageGCFailed InspectFailed
    InvalidDiskCapacity Killing KubeletSetupFailed LifecycleHTTPFallback MissingClusterDNS NetworkNotReady
    NodeAllocatableEnforced NodeHasDiskPressure NodeHasInsufficientMemory NodeHasInsufficientPID NodeHasNoDiskPressure
    NodeHasSufficientMemory NodeHasSufficientPID NodeNotReady NodeNotSchedulable NodeReady NodeSchedulable
    PossibleMemoryBackedVolumesOnDisk Preempting ProbeWarning Pulled Pulling Rebooted ResizeCompleted ResizeDeferred
    ResizeInfeasible SandboxChanged Shutdown Started Starting SuccessfulAttachVolume SuccessfulMountVolume SystemOOM
    Unhealthy VolumePermissionChangeInProgress VolumeResizeFailed VolumeResizeSuccessful
"""


def source(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    assert spec.origin is not None
    return Path(spec.origin)


@cache
def literals(module: str) -> frozenset[str]:
    """The strings that a module spells out, documentation left aside."""
    tree = ast.parse(source(module).read_text())
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documentation)
    return frozenset(node.value for node in constants if isinstance(node.value, str))


def test_the_page_says_what_the_list_says() -> None:
    assert PAGE.read_text() == render(), "run `make reference`"


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.here[:40])
def test_every_difference_is_about_code_that_exists(difference: object) -> None:
    assert source(difference.module).is_file()  # type: ignore[attr-defined]


def test_no_difference_is_told_twice() -> None:
    assert len({(difference.module, difference.here) for difference in DIFFERENCES}) == len(DIFFERENCES)


@pytest.mark.parametrize(("reason", "module"), SENT.items(), ids=SENT)
def test_an_event_is_sent_where_the_table_says(reason: str, module: str) -> None:
    assert reason in literals(module)


@pytest.mark.parametrize("reason", UNSENT_EVENTS)
def test_an_event_that_is_said_not_to_be_sent_is_not(reason: str) -> None:
    everywhere = [path for path in (ROOT / "vkprovider").rglob("*.py") if not path.name.startswith("differences")]
    senders = [path for path in everywhere if f'"{reason}"' in path.read_text()]
    assert senders == []


@pytest.mark.parametrize("reason", KUBELETS.split())
def test_every_event_of_a_kubelet_is_either_sent_or_not(reason: str) -> None:
    assert (reason in SENT) != (reason in UNSENT_EVENTS)
