"""-o json and -o yaml."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import yaml

from vkprovider.standalone.objects_out import write_objects

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "annotations": {"octal": "0o14", "float": "1e3", "bool": "yes", "number": "12"}},
    "status": {"phase": "Failed", "message": "first\nsecond ü", "podIPs": [], "exit": 137},
}
JOB: dict[str, Any] = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "test"}}


def written(objects: list[dict[str, Any]], form: str, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    write_objects(stream, objects, form)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_what_is_written_reads_back(form: str, read: Any, encoding: str) -> None:
    assert read(written([POD], form, encoding)) == POD
    several = read(written([POD, JOB], form, encoding))
    assert several == {"apiVersion": "v1", "kind": "List", "items": [POD, JOB]}
    assert read(written([], form, encoding))["items"] == []


def test_json_is_indented_as_kubectl_does() -> None:
    assert written([JOB], "json").splitlines()[:3] == ["{", '    "apiVersion": "batch/v1",', '    "kind": "Job",']
    assert written([JOB], "json").endswith("}\n")


def test_yaml_is_for_people_and_for_any_version_of_yaml() -> None:
    text = written([POD], "yaml")
    assert text.startswith("apiVersion: v1\nkind: Pod\n")
    for line in ("    octal: '0o14'", "    float: '1e3'", "    bool: 'yes'", "    number: '12'", "  exit: 137"):
        assert line in text.splitlines()
    assert "message: |-\n    first\n    second ü\n" in text


def test_the_same_value_twice_is_written_twice() -> None:
    shared = {"a": 1}
    assert written([{"one": shared, "two": shared}], "yaml") == "one:\n  a: 1\ntwo:\n  a: 1\n"
