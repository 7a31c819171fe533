"""The list of all fields, its page and its command."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from vkprovider.cli import cli
from vkprovider.model.supported import Field, Standing, all_fields, render

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "supported-fields.md"


def test_the_page_says_what_the_models_say() -> None:
    assert PAGE.read_text() == render(), "run `make reference`"


def test_each_field_is_listed_once() -> None:
    paths = [field.path for field in all_fields()]
    assert len(paths) == len(set(paths))


def test_fields_stand_as_the_models_and_the_table_say() -> None:
    fields = {field.path: field for field in all_fields()}
    assert fields["spec.containers[].securityContext.seccompProfile.localhostProfile"].standing is Standing.HONOURED
    assert fields["spec.tolerations"].standing is Standing.PLACEMENT
    assert fields["spec.schedulingGates"] == Field("spec.schedulingGates", Standing.WARNED, "nobody holds the pod back")
    assert fields["spec.hostUsers"] == Field("spec.hostUsers", Standing.REFUSED, "anything but true")
    assert fields["spec.volumes[].nfs"].standing is Standing.REFUSED
    assert fields["Job.spec.backoffLimit"].standing is Standing.HONOURED


def test_the_command_prints_them_for_people_and_for_programs() -> None:
    lines = CliRunner().invoke(cli, ["features"]).output.splitlines()
    assert "refused    spec.hostUsers (anything but true)" in lines
    listed = json.loads(CliRunner().invoke(cli, ["features", "-o", "json"]).output)
    assert {"path": "spec.hostUsers", "standing": "refused", "note": "anything but true"} in listed
    assert len(listed) == len(lines)
