"""Variables from files in a volume: the format line by line, which files are read, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.env import Whereabouts, resolve_env
from vkprovider.core.env_files import Contents, EnvFile, needed_files, parse
from vkprovider.core.faults import Fault
from vkprovider.errors import SpecError
from vkprovider.model.pod import Pod

VOLUMES = [
    {"name": "v", "emptyDir": {}},
    {"name": "m", "emptyDir": {"medium": "Memory"}},
    {"name": "config", "configMap": {"name": "c"}},
]
WHERE = Whereabouts(node_name="node-1", host_ip="192.168.0.1")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("A=1\nB=2\n", "B", "2"),
        ("  A = 1 2 \t\n", "A", "1 2"),
        ("# A=0\n\n \t\nA=1", "A", "1"),
        ("A=one \\\n two \\\nthree\nB=2\n", "A", "one two three"),
        ("A=one \\\n two\nB=2\n", "B", "2"),
        ("A=1=2#3 # $B ${C}", "A", "1=2#3 # $B ${C}"),
        ("A=1\nA=2", "A", "1"),
        ("A=1 \\\nB", "A", "1 B"),
        ("A=1\r\nB=2\r\n", "A", "1"),
        ("A=1\nnothing", "A", "1"),  # what is behind it is not looked at
        ("A=\n", "A", ""),
        ("A=1\n", "B", ""),
        ("", "A", ""),
    ],
)
def test_the_value_of_a_key(text: str, key: str, value: str) -> None:
    assert parse(text, key) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("B=1\nnothing\nA=1", "at line 2"),
        (" = 1", "at line 1"),
        ("A=1 \\\n\nB=2", "at line 2: blank line in continuation"),
        ("A=1 \\\n# no\nB=2", "at line 2: comment in continuation"),
        ("B=1 \\\n", "line continuation"),
    ],
)
def test_what_is_no_such_file(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(text, "A")


def variable(volume: str = "v", path: str = "d/f", key: str = "K", **more: Any) -> dict[str, Any]:
    return {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": volume, "path": path, "key": key, **more}}}


def given(*variables: dict[str, Any]) -> Pod:
    return pod(container("app", env=list(variables)), volumes=VOLUMES)


def env(of: Pod, contents: Contents) -> dict[str, str]:
    return dict(resolve_env(of, of.spec.containers[0], {}, WHERE, files=contents))


def test_each_file_is_read_once_and_no_other_volume() -> None:
    silenced = variable(path="unread") | {"value": "own"}
    of = given(variable(), variable(key="L"), variable("m", "/f"), variable("config", "f"), silenced)
    on_disk = EnvFile(volume="v", path="d/f", root="/pods/1/volumes/kubernetes.io~empty-dir/v", in_memory=False)
    in_memory = EnvFile(volume="m", path="f", root=f"vkprovider_{of.metadata.uid}_m", in_memory=True)
    assert needed_files(of, of.spec.containers[0], "/pods/1") == (on_disk, in_memory)


def test_a_value_is_taken_as_it_is_and_may_be_referred_to() -> None:
    later = {"name": "B", "value": "<$(A)>"}
    assert env(given(variable(), later), {("v", "d/f"): "K=$(X)\n"}) == {"A": "$(X)", "B": "<$(X)>"}


def test_an_optional_key_that_is_missing_is_no_variable() -> None:
    assert env(given(variable(optional=True)), {("v", "d/f"): "L=1"}) == {}


@pytest.mark.parametrize(
    ("asked", "content", "message"),
    [
        (variable(), "L=1", 'environment variable key "K" not found in file "d/f" of volume "v"'),
        (variable(), "K=", 'environment variable key "K" not found in file "d/f" of volume "v"'),
        (variable(), "nothing", "couldn't parse env file: invalid environment variable format at line 1"),
        (variable(optional=True), Fault("couldn't parse env file"), "couldn't parse env file"),
        (variable("config"), "K=1", 'cannot find the volume "config" referenced by FileKeyRef'),
        (variable(key="K" * 129), "K=1", "exceeds maximum length of 128 characters"),
        (variable(), "K=" + "x" * 32_769, "exceeds maximum size of 32KB"),
    ],
)
def test_what_is_missing_is_said_in_the_kubelets_words(
    asked: dict[str, Any], content: str | Fault, message: str
) -> None:
    with pytest.raises(Fault) as caught:
        env(given(asked), {("v", "d/f"): content})
    assert caught.value.waiting_reason == "CreateContainerConfigError"
    assert message in caught.value.message
