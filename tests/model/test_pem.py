"""Certificates in PEM: what counts of a text, and how it is written."""

from __future__ import annotations

import pytest

from vkprovider.model.pem import certificates, in_pem

ONE, TWO = b"\x30\x01" + bytes(60), b"\x30\x02"
BLOCK = "-----BEGIN CERTIFICATE-----\nMAI=\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("no certificate at all", []),
        (BLOCK, [TWO]),
        (BLOCK.replace("\n", "\r\n"), [TWO]),
        (BLOCK.removesuffix("\n"), [TWO]),
        (f"about the first\n{BLOCK}about the second\n{BLOCK}", [TWO, TWO]),
        ("-----BEGIN CERTIFICATE-----\nSaid: by whom\n\nMAI=\n-----END CERTIFICATE-----\n", [TWO]),
        ("-----BEGIN TRUSTED CERTIFICATE-----\nMAI=\n-----END TRUSTED CERTIFICATE-----\n", [TWO]),
        (
            "-----BEGIN CERTIFICATE-----\n\N{LATIN SMALL LETTER E WITH ACUTE}\n-----END CERTIFICATE-----\n" + BLOCK,
            [TWO],
        ),
        ("-----BEGIN CERTIFICATE-----\nM=I\n-----END CERTIFICATE-----\n" + BLOCK, [TWO]),
        ("-----BEGIN CERTIFICATE-----\nMAI=\n", []),
    ],
)
def test_what_counts(text: str, found: list[bytes]) -> None:
    assert list(certificates(text)) == found


def test_what_is_written_is_read_again() -> None:
    text = in_pem([ONE, TWO]).decode()
    assert list(certificates(text)) == [ONE, TWO]
    assert {len(line) for line in text.splitlines()} == {27, 64, 20, 25, 4}
    assert text.endswith(BLOCK)
    assert in_pem([]) == b""
