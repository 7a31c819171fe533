"""Header blocks of SPDY/3: names and values, compressed with one zlib stream per direction of a connection."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

LARGEST_BLOCK = 64 * 1024  # of bytes, once it is no longer compressed
MOST_HEADERS = 128

_LENGTH = struct.Struct(">I")

# What both sides know beforehand, so that even the first block is short (SPDY/3 draft, section 2.6.10.1).
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow"
    " authorization cache-control connection content-base content-encoding content-language content-length"
    " content-location content-md5 content-range content-type date etag expect expires from host if-match"
    " if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma"
    " proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade"
    " user-agent vary via warning www-authenticate method get status"
)
_MORE_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _sized(text: str) -> bytes:
    data = text.encode("latin-1")
    return _LENGTH.pack(len(data)) + data


DICTIONARY = b"".join(_sized(word) for word in (*_WORDS.split(), *_MORE_WORDS)) + _TEXT.encode("ascii")


class HeaderError(ValueError):
    """A header block that cannot be read. Nothing after it can be read either: the compression is one stream."""


class HeaderWriter:
    """Compresses the blocks of one direction, in the order in which they are sent."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zdict=DICTIONARY)

    def write(self, headers: Mapping[str, str]) -> bytes:
        """The block. Several values of a header are joined by NUL."""
        pairs = b"".join(_sized(name.lower()) + _sized(value) for name, value in headers.items())
        plain = _LENGTH.pack(len(headers)) + pairs
        return self._zlib.compress(plain) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class HeaderReader:
    """Reads the blocks of one direction, in the order in which they come."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)

    def read(self, block: bytes) -> dict[str, str]:
        """The headers, their names in lower case. Raises HeaderError."""
        try:
            plain = self._zlib.decompress(block, LARGEST_BLOCK + 1)
        except zlib.error as exc:
            raise HeaderError(f"a header block cannot be decompressed: {exc}") from exc
        if len(plain) > LARGEST_BLOCK:
            raise HeaderError(f"a header block of more than {LARGEST_BLOCK} bytes")
        try:
            return _parse(plain)
        except struct.error:
            raise HeaderError("a header block is cut short") from None


def _parse(plain: bytes) -> dict[str, str]:
    """Raises HeaderError or struct.error."""
    (count,) = _LENGTH.unpack_from(plain)
    if count > MOST_HEADERS:
        raise HeaderError(f"{count} headers, more than {MOST_HEADERS}")
    texts, at = [], _LENGTH.size
    for _ in range(2 * count):
        (length,) = _LENGTH.unpack_from(plain, at)
        end = at + _LENGTH.size + length
        if end > len(plain):
            raise HeaderError("a header is longer than its block")
        texts.append(plain[at + _LENGTH.size : end].decode("latin-1"))
        at = end
    if at != len(plain):
        raise HeaderError("a header block goes on after its last header")
    headers = dict(zip((name.lower() for name in texts[::2]), texts[1::2], strict=True))
    if len(headers) != count:
        raise HeaderError("a header twice in one block")
    return headers
