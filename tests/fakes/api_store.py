"""What a fake API server keeps: objects, their versions, and what happened to them in which order."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.fakes.strategic_merge import apply

Json = dict[str, Any]
DELETED_AT = "2026-01-01T00:00:00Z"


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": code,
        }


class Key(NamedTuple):
    plural: str
    namespace: str
    name: str


class Happening(NamedTuple):
    version: int
    type: str
    key: Key
    object: Json


class ApiStore:
    """``changed`` is called after each change. ``oldest`` is the first version that a watch may still begin from."""

    def __init__(self) -> None:
        self.objects: dict[Key, Json] = {}
        self.history: list[Happening] = []
        self.version = 100
        self.oldest = 0
        self.changed: Callable[[], None] = lambda: None
        self._uids = itertools.count(1)
        self._names = itertools.count(1)

    # --- what a test does -------------------------------------------------------------------------------------

    def put(self, plural: str, raw: Json) -> Json:
        """Create an object, or replace it whatever it was."""
        raw = copy.deepcopy(raw)
        metadata = raw.setdefault("metadata", {})
        key = Key(plural, metadata.get("namespace", ""), metadata["name"])
        before = self.objects.get(key)
        metadata.setdefault("uid", before["metadata"]["uid"] if before else f"uid-{next(self._uids)}")
        return self._write("MODIFIED" if before else "ADDED", key, raw)

    def edit(self, plural: str, namespace: str, name: str, **sections: Any) -> Json:
        """Change an object as somebody else would: each section is merged into what there is."""
        key = Key(plural, namespace, name)
        return self._write("MODIFIED", key, apply(self.objects[key], sections))

    def vanish(self, plural: str, namespace: str, name: str) -> None:
        """Remove an object at once, as a forced deletion does."""
        self._remove(Key(plural, namespace, name))

    def compact(self) -> None:
        """Forget what happened: a watch from before now is answered with 410."""
        self.oldest = self.version
        self.history.clear()

    def get(self, plural: str, namespace: str, name: str) -> Json | None:
        return self.objects.get(Key(plural, namespace, name))

    # --- what a client does -----------------------------------------------------------------------------------

    def read(self, key: Key) -> Json:
        if key not in self.objects:
            raise RefusedError(404, "NotFound", f'{key.plural} "{key.name}" not found')
        return self.objects[key]

    def create(self, key: Key, raw: Json) -> Json:
        wish = raw["metadata"]
        key = key._replace(name=wish.get("name") or f"{wish['generateName']}{next(self._names)}")
        if key in self.objects:
            raise RefusedError(409, "AlreadyExists", f'{key.plural} "{key.name}" already exists')
        metadata = wish | {"name": key.name, "uid": f"uid-{next(self._uids)}"}
        return self._write("ADDED", key, raw | {"metadata": metadata})

    def replace(self, key: Key, raw: Json) -> Json:
        if raw["metadata"]["resourceVersion"] != self.read(key)["metadata"]["resourceVersion"]:
            raise RefusedError(409, "Conflict", "the object has been modified")
        return self._write("MODIFIED", key, raw)

    def patch(self, key: Key, subresource: str, patch: Json) -> Json:
        before = self.read(key)
        self._same_uid(key, (patch.get("metadata") or {}).get("uid"))
        after = apply(before, patch)
        if subresource == "status":
            after = before | {"status": after.get("status", {}), "metadata": after["metadata"]}
            if key.plural == "pods":
                check_status_change(before, after["status"])
        elif "status" in before:
            after["status"] = before["status"]
        return before if after == before else self._write("MODIFIED", key, after)

    def delete(self, key: Key, options: Json) -> Json:
        before = self.read(key)
        self._same_uid(key, (options.get("preconditions") or {}).get("uid"))
        if key.plural != "pods":
            self._remove(key)
            return before
        return self._delete_pod(key, before, options.get("gracePeriodSeconds"))

    def _delete_pod(self, key: Key, pod: Json, grace: int | None) -> Json:
        """registry/core/pod strategy CheckGracefulDelete and registry/rest BeforeDelete."""
        metadata = pod["metadata"]
        if grace is None:
            grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            grace = 0
        pending = metadata.get("deletionGracePeriodSeconds")
        if pending is not None and pending <= grace and pending > 0:
            return pod
        if pending != 0:
            marks = {"deletionTimestamp": DELETED_AT, "deletionGracePeriodSeconds": grace}
            marks |= {} if pending is not None else {"generation": metadata.get("generation", 1) + 1}
            pod = self._write("MODIFIED", key, pod | {"metadata": metadata | marks})
        if grace == 0 and not metadata.get("finalizers"):
            self._remove(key)
        return pod

    def _same_uid(self, key: Key, uid: str | None) -> None:
        actual = self.objects[key]["metadata"]["uid"]
        if uid is not None and uid != actual:
            raise RefusedError(409, "Conflict", f"the UID in the precondition ({uid}) does not match {actual}")

    def _write(self, kind: str, key: Key, raw: Json) -> Json:
        self.version += 1
        raw = raw | {"metadata": raw["metadata"] | {"resourceVersion": str(self.version)}}
        self.objects[key] = raw
        self._happen(kind, key, raw)
        return raw

    def _remove(self, key: Key) -> None:
        raw = self.objects.pop(key)
        self.version += 1
        last = raw | {"metadata": raw["metadata"] | {"resourceVersion": str(self.version)}}
        self._happen("DELETED", key, last)

    def _happen(self, kind: str, key: Key, raw: Json) -> None:
        self.history.append(Happening(self.version, kind, key, raw))
        self.changed()


def check_status_change(pod: Json, status: Json) -> None:
    """core/validation ValidatePodStatusUpdate, as far as a kubelet may break it. Raises RefusedError."""
    spec, before = pod.get("spec") or {}, pod.get("status") or {}
    problems = []
    if before.get("qosClass") and status.get("qosClass") != before["qosClass"]:
        problems.append("status.qosClass: field is immutable")
    policy = spec.get("restartPolicy", "Always")
    restartable = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    for field in ("containerStatuses", "initContainerStatuses"):
        now = {c["name"]: c.get("state") or {} for c in status.get(field) or ()}
        for old in before.get(field) or ():
            ended = (old.get("state") or {}).get("terminated")
            free = policy == "Always" or (field.startswith("init") and old["name"] in restartable)
            free = free or (policy == "OnFailure" and ended and ended["exitCode"] != 0)
            if ended and not free and "terminated" not in now.get(old["name"], {"terminated": {}}):
                problems.append(f"status.{field}: may not be transitioned to non-terminated state")
    if problems:
        raise RefusedError(422, "Invalid", f'Pod "{pod["metadata"]["name"]}" is invalid: {"; ".join(problems)}')
