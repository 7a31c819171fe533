"""The text of manifests: where it comes from, how it is read, and how much of it is too much."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from vkprovider.errors import SpecError
from vkprovider.standalone import yaml_reader
from vkprovider.standalone.manifests import ManifestError, load
from vkprovider.standalone.sources import MAX_BYTES, read_text
from vkprovider.standalone.yaml_reader import MAX_VALUES, BrokenText, documents, resolve

POD = b"apiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec: {containers: [{name: a, image: b}]}\n"


def problem(source: str, stdin: bytes = b"") -> str:
    with pytest.raises(SpecError) as caught:
        read_text(source, io.BytesIO(stdin))
    return caught.value.message


def test_a_missing_file(tmp_path: Path) -> None:
    assert problem(str(tmp_path / "none.yaml")) == "cannot be read: No such file or directory"


def test_a_directory(tmp_path: Path) -> None:
    assert problem(str(tmp_path)) == "cannot be read: Is a directory"


def test_a_file_that_cannot_be_read() -> None:
    assert problem("/proc/self/mem") == "cannot be read: Input/output error"


def test_bytes_that_are_not_utf_8() -> None:
    assert problem("-", b"a: 1\nb: \xff\n") == "line 2: not UTF-8: byte 0xff"


def test_utf_16_is_not_utf_8() -> None:
    assert problem("-", "a: 1\n".encode("utf-16")) == "line 1: not UTF-8: byte 0xff"


def test_a_byte_order_mark_is_skipped() -> None:
    assert read_text("-", io.BytesIO(b"\xef\xbb\xbfa: 1\n")) == "a: 1\n"


def test_more_than_eight_mebibytes() -> None:
    assert problem("-", b"x" * (MAX_BYTES + 1)) == "larger than 8 MiB, the most a manifest may have: split it"


def test_exactly_eight_mebibytes_are_read() -> None:
    assert len(read_text("-", io.BytesIO(b"x" * MAX_BYTES))) == MAX_BYTES


def test_an_endless_file_is_no_trap() -> None:
    assert problem("/dev/zero") == "larger than 8 MiB, the most a manifest may have: split it"


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        load([str(tmp_path / "none.yaml"), "-", str(tmp_path)], io.BytesIO(b""))
    assert caught.value.lines == (
        f"{tmp_path}/none.yaml: cannot be read: No such file or directory",
        "stdin: holds no objects",
        f"{tmp_path}: cannot be read: Is a directory",
    )


def test_no_file_at_all() -> None:
    with pytest.raises(ManifestError) as caught:
        load([])
    assert caught.value.lines == ("no file is given: nothing to run: there is no Pod, no Job and no Deployment",)


def test_a_thousand_documents_are_read() -> None:
    text = b"---\n".join(POD % number for number in range(1000))
    assert len(load(["-"], io.BytesIO(text)).pods) == 1000


def test_a_file_of_ten_megabytes_gets_one_line() -> None:
    with pytest.raises(ManifestError) as caught:
        load(["-"], io.BytesIO(POD % 1 + b"# " + b"x" * 10_000_000))
    assert caught.value.lines == ("stdin: larger than 8 MiB, the most a manifest may have: split it",)


# go-yaml v2's resolve.go, by which kubectl reads.
PLAIN: dict[str, Any] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "yes": True,
    "On": True,
    "y": True,
    "no": False,
    "OFF": False,
    "0": 0,
    "-7": -7,
    "+7": 7,
    "1_000": 1000,
    "0644": 420,
    "0o644": 420,
    "0x1F": 31,
    "0b101": 5,
    "08": 8.0,
    "1.5": 1.5,
    ".5": 0.5,
    "1e3": 1000.0,
    ".inf": math.inf,
    "-.Inf": -math.inf,
    "1e999": "1e999",
    "12:30": "12:30",
    "2024-01-01": "2024-01-01",
    "1.2.3": "1.2.3",
    "-": "-",
    ".": ".",
    "_1": "_1",
    "yEs": "yEs",
    "busybox": "busybox",
    "9" * 50: "9" * 50,
}


@pytest.mark.parametrize(("text", "value"), PLAIN.items())
def test_plain_scalars_mean_what_they_mean_to_kubectl(text: str, value: Any) -> None:
    read = resolve(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("---\n---\na: 1\n...\n", [None, {"a": 1}]),
        ("a: '1'\nb: \"yes\"\nc: |\n  5\n", [{"a": "1", "b": "yes", "c": "5\n"}]),
        ("8080: a\n1.5: b\non: c\n'~': d\n", [{"8080": "a", "1.5": "b", "true": "c", "~": "d"}]),
        ("a: !!str 5\nb: !!int '5'\nc: !!float 5\nd: ! 5\n", [{"a": "5", "b": 5, "c": 5, "d": "5"}]),
        ("a: &x [1]\nb: *x\n", [{"a": [1], "b": [1]}]),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n", [{"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}]),
        (
            "- &x {k: 1}\n- &y {k: 2, m: 3}\n- {<<: [*x, *y]}\n",
            [[{"k": 1}, {"k": 2, "m": 3}, {"k": 1, "m": 3}]],
        ),
        ("'<<': 1\n", [{"<<": 1}]),
        ('{"a": "\\ud83d\\ude00"}', [{"a": "\U0001f600"}]),
        ('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("[1, {a: b}]", [[1, {"a": "b"}]]),
    ],
)
def test_texts_are_read(text: str, values: list[Any]) -> None:
    assert list(documents(text)) == values


DEEP = 200
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{last}'] * 10)}]\n" for last, this in zip("abcdefg", "bcdefgh", strict=True)
)
MERGE_BOMB = "a: &a {k: 1}\n" + "".join(
    f"{this}: &{this} {{<<: [{', '.join([f'*{last}'] * 10)}]}}\n"
    for last, this in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: \x00\n", "line 1, column 4: the control character U+0000 is not allowed"),
        ("a: b\na: c\n", 'line 2, column 1: the key "a" is given twice, first in line 1'),
        ("8: b\n'8': c\n", 'line 2, column 1: the key "8" is given twice, first in line 1'),
        ('{"a": 1,\n\t"a": 2}', 'line 2, column 2: the key "a" is given twice, first in line 1'),
        ('{"a": {"b": 1, "b": 2}} {"c": 1}', 'line 1, column 16: the key "b" is given twice, first in line 1'),
        ('{"c": 1} {"a": {"b": 1, "b": 2}}', 'the key "b" is given twice'),
        ("a: *b\n", "line 1, column 4: the alias *b refers to nothing that is complete before it"),
        ("a: &a [*a]\n", "line 1, column 8: the alias *a refers to nothing that is complete before it"),
        ("---\n- &a 1\n---\n- *a\n", "line 4, column 3: the alias *a refers to nothing that is complete before it"),
        ("<<: 1\n", "line 1, column 5: << can only merge mappings"),
        ("? [a]\n: b\n", "line 1, column 5: the key of a mapping must be a string"),
        ("~: b\n", "line 1, column 1: the key of a mapping must be a string"),
        ("a: !!binary aGk=\n", "line 1, column 4: the tag tag:yaml.org,2002:binary is not accepted"),
        ("a: !mine {}\n", "line 1, column 4: the tag !mine is not accepted"),
        ("a: !!int b\n", 'line 1, column 4: "b" is no int'),
        ("a: !!int yes\n", 'line 1, column 4: "yes" is no int'),
        ("[" * 200_000, "line 1, column 101: nested more than 100 deep"),
        ("\n".join(" " * depth + "a:" for depth in range(DEEP)), "line 101, column 101: nested more than 100 deep"),
        ('{"a": 1} ' + "[" * DEEP + "]" * DEEP, "nested more than 100 deep"),
        ('{"a": 1} ' + "[" * 100_000 + "]" * 100_000, "nested more than 100 deep"),
        (BOMB, "line 6, column 20: holds more than 500,000 values"),
        (MERGE_BOMB, "line 7, column 13: holds more than 500,000 values"),
        ('{"a": "\\ud800"}', "holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"),
        ('["a", {"\\udfff": 1}]', "holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"),
        ("- a\n" * (MAX_VALUES + 1), "line 500000, column 3: holds more than 500,000 values"),
        ('{"a": 1} [' + "1," * MAX_VALUES + "1]", "holds more than 500,000 values"),
    ],
    ids=lambda value: value[:20],
)
def test_texts_are_refused(text: str, words: str) -> None:
    with pytest.raises(BrokenText) as caught:
        list(documents(text))
    assert str(caught.value) == words


def test_the_parser_in_python_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x {k: yes, l: 'no'}\nb: {<<: *x}\n---\n- 0644\n- '1'\n"
    quick = list(documents(text))
    monkeypatch.setattr(yaml_reader, "_LOADER", yaml.SafeLoader)
    assert list(documents(text)) == quick
    with pytest.raises(BrokenText, match=r"^line 1, column 5: mapping values are not allowed here$"):
        list(documents("a: b: c\n"))
