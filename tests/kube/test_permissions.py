"""The roles in deploy/: nothing by wildcard, and each permission explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([a-z/, ]+)(?: in `[a-z-]+`)?: ([a-z, ]+) \|", re.MULTILINE)


def rules(pattern: str) -> Iterator[dict[str, Any]]:
    for path in (ROOT / "deploy").glob(pattern):
        for document in yaml.safe_load_all(path.read_text()):
            yield from document.get("rules", ())


def test_no_role_has_a_wildcard() -> None:
    assert list(rules("rbac.yaml"))
    assert [rule for rule in rules("rbac*.yaml") if "*" in str(rule)] == []


def test_the_documentation_explains_each_permission_and_no_other() -> None:
    granted = {(kind, verb) for rule in rules("rbac.yaml") for kind in rule["resources"] for verb in rule["verbs"]}
    rows = ROW.findall((ROOT / "docs" / "how-to" / "permissions.md").read_text())
    explained = {(kind, verb) for kinds, verbs in rows for kind in kinds.split(", ") for verb in verbs.split(", ")}
    assert explained == granted


def test_what_the_webhook_may_do_is_explained_and_no_more() -> None:
    granted = {
        (kind, verb) for rule in rules("rbac-webhook.yaml") for kind in rule["resources"] for verb in rule["verbs"]
    }
    page = (ROOT / "docs" / "how-to" / "sidecarset.md").read_text()
    _, _, section = page.partition("| permission | for |\n|---|---|\n")
    explained = set()
    for row in section.partition("\n\n")[0].splitlines():
        for part in row.split("|")[1].split(";"):
            kinds, _, verbs = part.partition(":")
            for kind in re.sub(r"`[^`]*`| and ", " ", kinds).split():
                explained |= {(kind, verb) for verb in re.findall(r"create|delete|get|list|patch|update|watch", verbs)}
    assert explained == granted
