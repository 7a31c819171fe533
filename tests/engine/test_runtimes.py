"""Which of the engine's runtimes make read-only mounts so in all of their depth."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.engine.runtimes import recursive_read_only


def runtime(*options: str, said: str = "") -> dict[str, Any]:
    listed = ",".join(f'"{option}"' for option in options)
    features = said or f'{{"ociVersionMin":"1.0.0","mountOptions":[{listed}]}}'
    return {"path": "runc", "status": {"org.opencontainers.runtime-spec.features": features}}


ABLE, OLD, SILENT = runtime("ro", "rro"), runtime("ro"), {"path": "runc"}
ODD = (runtime(said='{"mountOptions":null}'), runtime(said="[]"), {"path": "x", "status": None})


@pytest.mark.parametrize(
    ("runtimes", "kernel", "able"),
    [
        ({"runc": ABLE, "crun": ABLE, "old": OLD}, "6.1.0-25-amd64", ("", "crun", "runc")),
        ({"runc": OLD, "crun": ABLE}, "6.1", ("crun",)),
        ({"runc": ABLE}, "5.12.0", ("", "runc")),
        ({"runc": ABLE}, "5.11.22", ()),
        ({"runc": ABLE}, "5.4-rc1", ()),
        ({"runc": ABLE}, "unheard of", ()),
        ({"runc": SILENT}, "6.1.0", ()),
        (dict(zip(("runc", "b", "c"), ODD, strict=True)), "6.1.0", ()),
        (None, "6.1.0", ()),
    ],
)
def test_those_that_can(runtimes: dict[str, Any] | None, kernel: str, able: tuple[str, ...]) -> None:
    assert recursive_read_only({"KernelVersion": kernel, "DefaultRuntime": "runc", "Runtimes": runtimes}) == able
