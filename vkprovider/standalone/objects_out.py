"""``-o json|yaml``: objects as kubectl prints them, a List if they are several."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

# Strings that YAML 1.1, which PyYAML speaks, leaves bare and that readers of YAML 1.2 take for numbers.
_NUMBERS_ELSEWHERE = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+|0o[0-7]+")


def write_objects(stream: TextIO, objects: Sequence[Mapping[str, Any]], form: str) -> None:
    """Write the objects as JSON or YAML (``form``). One object stands for itself, none is an empty List.

    What the stream's encoding lacks is escaped in the way of the form.
    """
    whole: Any = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    unicode = (stream.encoding or "utf-8").lower().startswith("utf")
    stream.write(
        json.dumps(whole, indent=4, ensure_ascii=not unicode) + "\n" if form == "json" else _yaml(whole, unicode)
    )
    stream.flush()


def _yaml(whole: Any, unicode: bool) -> str:
    import yaml  # noqa: PLC0415  only those who ask for it pay for it

    class Dumper(yaml.SafeDumper):
        """No anchors: the same value twice is written twice. Many lines are written as a block."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else "'" if _NUMBERS_ELSEWHERE.fullmatch(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return str(yaml.dump(whole, Dumper=Dumper, sort_keys=False, allow_unicode=unicode, width=4096))
