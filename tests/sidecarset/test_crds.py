"""The definitions that are shipped."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy" / "sidecarset"
NAMES = ["crd-sidecarsets.yaml", "crd-sidecarsetresourcebindings.yaml"]


@pytest.mark.parametrize("name", NAMES)
def test_users_get_what_the_package_holds(name: str) -> None:
    packed = (files("vkprovider.sidecarset") / "crds" / name).read_text()
    assert (DEPLOY / name).read_text() == packed, "run `make reference`"


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_named_after_what_it_defines(name: str) -> None:
    made = yaml.safe_load((DEPLOY / name).read_text())
    plural = made["spec"]["names"]["plural"]
    assert (name, made["metadata"]["name"]) == (f"crd-{plural}.yaml", f"{plural}.{made['spec']['group']}")
