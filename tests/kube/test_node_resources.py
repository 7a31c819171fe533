from __future__ import annotations

from typing import Any

import pytest

from vkprovider.config import ConfigError
from vkprovider.core.devices import Device
from vkprovider.core.thresholds import DEFAULT_THRESHOLDS, Signal, Threshold, parse_thresholds
from vkprovider.kube.node.resources import NodeResources, ResourceFlags, load_node_resources
from vkprovider.model.create import DeviceMapping


def loaded(**flags: Any) -> NodeResources:
    return load_node_resources(ResourceFlags(**flags))


def test_without_flags_it_is_as_a_kubelet_has_it() -> None:
    assert loaded() == NodeResources(eviction_hard=parse_thresholds(DEFAULT_THRESHOLDS))
    assert loaded().pressure_seconds == 300


def test_what_is_reserved_adds_up() -> None:
    both = loaded(system_reserved="cpu=500m, memory=1Gi", kube_reserved="cpu=1,ephemeral-storage=2Gi")
    assert both.reserved == {"cpu": 1500, "memory": 1 << 30, "ephemeral-storage": 2 << 30}


def test_thresholds_are_those_that_are_said_and_no_others() -> None:
    assert loaded(eviction_hard="pid.available<5%").eviction_hard == (Threshold(Signal.PID, "5%"),)
    assert loaded(eviction_hard="").eviction_hard == ()


def test_a_pressures_time() -> None:
    assert loaded(eviction_pressure_transition_period="1m30s").pressure_seconds == 90
    assert loaded(eviction_pressure_transition_period="0s").pressure_seconds == 0


def test_devices() -> None:
    given = (
        "example.com/fuse=/dev/fuse:rw*2",
        "example.com/tty=/dev/ttyUSB0:/dev/modem",
        "example.com/tty=/dev/ttyUSB1",
    )
    fuse = DeviceMapping(source="/dev/fuse", target="/dev/fuse", access="rw")
    assert loaded(device=given).devices == {
        "example.com/fuse": (Device(id="/dev/fuse#0", mapping=fuse), Device(id="/dev/fuse#1", mapping=fuse)),
        "example.com/tty": (
            Device(id="/dev/ttyUSB0#0", mapping=DeviceMapping(source="/dev/ttyUSB0", target="/dev/modem")),
            Device(id="/dev/ttyUSB1#0", mapping=DeviceMapping(source="/dev/ttyUSB1", target="/dev/ttyUSB1")),
        ),
    }


@pytest.mark.parametrize(
    ("said", "gpus"), [("", None), ("none", ()), ("0", ("0",)), ("GPU-8a, GPU-9b", ("GPU-8a", "GPU-9b"))]
)
def test_gpus(said: str, gpus: tuple[str, ...] | None) -> None:
    assert loaded(nvidia_gpus=said).gpus == gpus


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"system_reserved": "pods=1"}, "^--system-reserved: 'pods' is none of cpu, memory, ephemeral-storage$"),
        ({"system_reserved": "cpu=much"}, "^--system-reserved: cpu: quantities must match"),
        ({"kube_reserved": "cpu=-1"}, "^--kube-reserved: cpu: -1 is negative$"),
        ({"kube_reserved": "cpu"}, "^--kube-reserved: 'cpu' is not of the form KEY=VALUE$"),
        ({"eviction_hard": "memory.available"}, "^--eviction-hard: 'memory.available' is not of the form SIGNAL<"),
        ({"eviction_hard": "memory<1Gi"}, "^--eviction-hard: unknown signal 'memory': there are memory.available, "),
        ({"eviction_pressure_transition_period": "5"}, "^--eviction-pressure-transition-period: '5' is not a duration"),
        ({"pod_max_pids": -1}, "^--pod-max-pids: -1 is negative; 0 is no limit$"),
        ({"device": ("fuse",)}, r"^--device: 'fuse' is not NAME=PATH"),
        ({"device": ("example.com/fuse=dev/fuse",)}, r"^--device: .* is not NAME=PATH"),
        ({"device": ("example.com/fuse=/dev/fuse:x",)}, r"^--device: .* is not NAME=PATH"),
        ({"device": ("fuse=/dev/fuse",)}, "^--device: 'fuse': must be a name of a domain of yours"),
        ({"device": ("kubernetes.io/fuse=/dev/fuse",)}, "^--device: 'kubernetes.io/fuse': must be a name of a domain"),
        ({"device": ("a b/fuse=/dev/fuse",)}, "^--device: 'a b/fuse': "),
        (
            {"device": ("a.b/c=/dev/null", "a.b/c=/dev/null")},
            r"^--device: a.b/c: the same path is given twice; \*USERS",
        ),
        ({"device": ("a.b/c=/dev/null*0",)}, r"^--device: a.b/c: \*0 leaves no device$"),
        ({"device": ("nvidia.com/gpu=/dev/nvidia0",)}, "^--device: nvidia.com/gpu: GPUs are found by themselves"),
        ({"nvidia_gpus": "0,0"}, "^--nvidia-gpus: '0,0' is not a list of indexes or UUIDs"),
        ({"nvidia_gpus": "0,"}, "^--nvidia-gpus: '0,' is not a list"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(flags: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        loaded(**flags)
