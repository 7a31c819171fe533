"""What is wrong with the pods that come of an object, in the company of all others: what they refer to and is not
there, or not theirs to have, and what their sidecars make of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from vkprovider.errors import SpecError
from vkprovider.model.findings import Finding
from vkprovider.standalone.kinds import POD_TEMPLATES, Reading, read
from vkprovider.standalone.references import Keys, missing
from vkprovider.standalone.sidecar_sets import SidecarSets, sidecar_spec, with_label
from vkprovider.standalone.trust import Bundles

Raw = dict[str, Any]

_ANY_TIME = datetime.fromtimestamp(0, UTC)  # only to see whether it works


def admission_findings(reading: Reading, keys: Keys, bundles: Bundles, sidecars: SidecarSets) -> Iterator[Finding]:
    """Findings on an object that has been read; nothing where it makes no pods."""
    if reading.pods is None:
        if reading.raw["kind"] == "SidecarSet" and not reading.problems:
            yield from sidecars.conflicts(reading.raw["metadata"]["name"])
        return
    path = POD_TEMPLATES[reading.raw["kind"]]
    if reading.problems:
        yield from missing(reading.pods, reading.namespace, path, keys, bundles)
        return
    pod = with_label(_pod_of(reading.raw))
    try:
        injected = sidecars.admitted(pod, _ANY_TIME)
    except SpecError as exc:
        yield Finding("metadata.annotations", str(exc))
        return
    refusal = partial(sidecars.refusal, injected)
    yield from missing(reading.pods, reading.namespace, path, keys, bundles, refusal)
    sets = sidecars.matching(pod)
    for each in sets:
        for finding in missing(sidecar_spec(each), reading.namespace, "spec", keys, bundles, refusal):
            yield Finding("", f"its SidecarSet {each.name}: {finding}")
    if sets:
        for finding in read(injected).problems:
            yield Finding("", f"with the sidecars of {', '.join(each.name for each in sets)}: {finding}")


def _pod_of(raw: Raw) -> Raw:
    """A pod like those that come of the object; of a Job also with the labels by its name."""
    if raw["kind"] == "Pod":
        return raw
    template, metadata = raw["spec"]["template"], raw["metadata"]
    own, name = template.get("metadata") or {}, metadata.get("name", "")
    named = {"job-name": name, "batch.kubernetes.io/job-name": name} if raw["kind"] == "Job" and name else {}
    labels = {**(own.get("labels") or {}), **named}
    made = {**own, "generateName": "pod-", "namespace": metadata["namespace"], "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template["spec"]}
