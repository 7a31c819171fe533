"""What a pod's specification asks for that is not honoured here, for its owner to hear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from vkprovider.model.base import without_nulls
from vkprovider.model.fields import unknown_fields
from vkprovider.model.pod import PodSpec
from vkprovider.model.remarks import remarks
from vkprovider.model.unsupported import Level
from vkprovider.model.volume import STDLOG

_MOST = 10  # sentences; a pod with more has its owner's attention


class Unhonoured(msgspec.Struct, frozen=True):
    """One sentence per field, which begins with its path. With ``refused`` ones the pod would run wrongly."""

    refused: tuple[str, ...]
    warned: tuple[str, ...]


def unhonoured(spec: Mapping[str, Any]) -> Unhonoured:
    """What is to be said of a raw v1.PodSpec that the API server has let through.

    A field that is known to it and not to us is newer than we are.
    """
    refused = list(_drivers(spec))
    warned: list[str] = []
    for remark in islice(remarks(unknown_fields(without_nulls(spec), PodSpec, "spec")), _MOST):
        if remark.level is Level.REFUSE:
            refused.append(str(remark.finding))
        elif remark.level is Level.WARN:
            warned.append(str(remark.finding))
        else:
            warned.append(f"{remark.finding.path}: not honoured: vkprovider does not know this field")
    return Unhonoured(tuple(refused), tuple(warned))


def _drivers(spec: Mapping[str, Any]) -> Iterator[str]:
    for place, volume in enumerate(spec.get("volumes") or ()):
        driver = (volume.get("csi") or {}).get("driver", STDLOG)
        if driver != STDLOG:
            yield f"spec.volumes[{place}].csi.driver: vkprovider has no CSI drivers but {STDLOG}, so not {driver}"
