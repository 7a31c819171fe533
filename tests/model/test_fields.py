"""A raw object against the structs: unknown keys, wrong types, and what is left to decode."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.model.container import Container
from vkprovider.model.fields import check, field_names, unknown_fields
from vkprovider.model.job import JobSpec
from vkprovider.model.pod import ObjectMeta, PodSpec, read_as
from vkprovider.model.probe import Probe
from vkprovider.model.volume import Volume


def test_unknown_fields_are_found_at_every_depth_with_path_owner_and_value() -> None:
    raw = {
        "colour": "red",
        "containers": [{"name": "a"}, {"name": "b", "imagee": "x", "livenessProbe": {"exec": {"comand": ["ls"]}}}],
        "volumes": [{"name": "v", "emptyDir": {}, "nfs": {"server": "s"}}],
    }
    found = [(field.path, field.name, field.owner.__name__, field.value) for field in unknown_fields(raw, PodSpec)]
    assert found == [
        ("colour", "colour", "PodSpec", "red"),
        ("containers[1].imagee", "imagee", "Container", "x"),
        ("containers[1].livenessProbe.exec.comand", "comand", "ExecAction", ["ls"]),
        ("volumes[0].nfs", "nfs", "Volume", {"server": "s"}),
    ]


def test_paths_begin_where_the_caller_says() -> None:
    assert [f.path for f in unknown_fields({"containers": [{"x": 1}]}, PodSpec, "spec.template.spec")] == [
        "spec.template.spec.containers[0].x"
    ]


def test_a_key_that_is_no_word_is_quoted_in_its_path() -> None:
    assert [f.path for f in unknown_fields({"a b": 1, "": 2, "x\n": 3}, PodSpec, "spec")] == [
        'spec["a b"]',
        'spec[""]',
        'spec["x\\n"]',
    ]


def test_fields_are_named_as_manifests_spell_them() -> None:
    assert {"hostPID", "initContainers", "terminationGracePeriodSeconds"} <= set(field_names(PodSpec))
    assert {"emptyDir", "configMap", "downwardAPI", "projected"} <= set(field_names(Volume))


WRONG: dict[str, tuple[type[Any], dict[str, Any], str]] = {
    "bool for string": (Container, {"name": True}, "name: must be a string, not true: put it in quotes"),
    "int for string": (Container, {"name": 8}, "name: must be a string, not 8: put it in quotes"),
    "float for string": (Container, {"name": 1.5}, "name: must be a string, not 1.5: put it in quotes"),
    "list for string": (Container, {"name": ["a"]}, "name: must be a string, not a list"),
    "mapping for string": (Container, {"name": {}}, "name: must be a string, not a mapping"),
    "string for list": (
        Container,
        {"name": "a", "command": "ls"},
        'command: must be a list, not the string "ls"',
    ),
    "item of a list": (
        Container,
        {"name": "a", "args": ["x", 1]},
        "args[1]: must be a string, not 1: put it in quotes",
    ),
    "null in a list": (Container, {"name": "a", "args": [None]}, "args[0]: must be a string, not null"),
    "string for bool": (
        Container,
        {"name": "a", "tty": "true"},
        'tty: must be true or false, not the string "true": take the quotes away',
    ),
    "other string for bool": (
        Container,
        {"name": "a", "tty": "maybe"},
        'tty: must be true or false, not the string "maybe"',
    ),
    "int for bool": (Container, {"name": "a", "tty": 1}, "tty: must be true or false, not 1"),
    "string for int": (
        Probe,
        {"periodSeconds": "5"},
        'periodSeconds: must be an integer, not the string "5": take the quotes away',
    ),
    "bool for int": (Probe, {"periodSeconds": True}, "periodSeconds: must be an integer, not true"),
    "float for int": (Probe, {"periodSeconds": 1.5}, "periodSeconds: must be an integer, not 1.5"),
    "too large an int": (
        Probe,
        {"periodSeconds": 2**31},
        "periodSeconds: Invalid value: 2147483648: must be between -2147483647 and 2147483647, inclusive",
    ),
    "list for mapping": (Probe, {"exec": []}, "exec: must be a mapping, not a list"),
    "value of a mapping": (
        ObjectMeta,
        {"labels": {"a": True}},
        "labels[a]: must be a string, not true: put it in quotes",
    ),
    "one of two types": (
        Probe,
        {"tcpSocket": {"port": 1.5}},
        "tcpSocket.port: must be an integer or a string, not 1.5: put it in quotes",
    ),
    "bool for a quantity": (
        Container,
        {"name": "a", "resources": {"limits": {"cpu": True}}},
        "resources.limits[cpu]: must be a string or a number, not true: put it in quotes",
    ),
    "no time": (
        ObjectMeta,
        {"creationTimestamp": "yesterday"},
        'creationTimestamp: must be a time, as 2006-01-02T15:04:05Z, not the string "yesterday"',
    ),
    "missing": (Container, {"image": "x"}, "name: Required value"),
    "missing mapping": (JobSpec, {}, "template: Required value"),
}


@pytest.mark.parametrize(("kind", "raw", "line"), WRONG.values(), ids=WRONG)
def test_a_wrong_type_is_told_with_its_path(kind: type[Any], raw: dict[str, Any], line: str) -> None:
    assert [str(fault) for fault in check(raw, kind).faults] == [line]


@pytest.mark.parametrize(("kind", "raw", "line"), WRONG.values(), ids=WRONG)
def test_what_is_left_decodes(kind: type[Any], raw: dict[str, Any], line: str) -> None:
    read_as(kind, check(raw | {"unknown": 1}, kind).clean)


def test_nothing_of_a_right_object_is_lost() -> None:
    raw = {
        "containers": [
            {
                "name": "a",
                "ports": [{"containerPort": 80}],
                "resources": {"limits": {"memory": 4294967296, "cpu": 0.5}},
                "livenessProbe": {"httpGet": {"port": "http"}},
            }
        ],
        "terminationGracePeriodSeconds": 0,
    }
    checked = check(raw, PodSpec)
    assert (checked.clean, checked.unknown, checked.faults) == (raw, (), ())


def test_an_item_of_the_wrong_type_keeps_the_places_of_the_others() -> None:
    checked = check({"containers": ["x", {"name": "b"}]}, PodSpec)
    assert checked.clean["containers"] == [{"name": ""}, {"name": "b"}]
