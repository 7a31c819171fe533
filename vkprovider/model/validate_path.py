"""Whether paths in volumes make sense: validateLocalDescendingPath and its kin of core/validation/validation.go."""

from __future__ import annotations

from collections.abc import Iterator

from vkprovider.model.findings import Finding, invalid, required


def file_path(target: str, path: str) -> Iterator[Finding]:
    """Findings on where in a volume a file is to be (ValidateLocalNonReservedPath)."""
    if not target:
        yield required(path)
    yield from relative(target, path)
    if target.startswith("..") and ".." not in target.split("/"):
        yield invalid(path, target, "must not start with '..'")


def relative(target: str, path: str) -> Iterator[Finding]:
    if target.startswith("/"):
        yield invalid(path, target, "must be a relative path")
    yield from no_backsteps(target, path)


def no_backsteps(target: str, path: str) -> Iterator[Finding]:
    if ".." in target.split("/"):
        yield invalid(path, target, "must not contain '..'")
    if "\0" in target:
        yield invalid(path, target, "must not contain NUL")
