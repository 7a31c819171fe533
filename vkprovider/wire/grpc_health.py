"""The messages of gRPC's health service, and what a server says went wrong with a call, in grpc-go's words. Pure.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and doc/health-checking.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

PATH = "/grpc.health.v1.Health/Check"
SERVING = "SERVING"

_STATUSES = ("UNKNOWN", SERVING, "NOT_SERVING", "SERVICE_UNKNOWN")
_CODES = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"),
    *("PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented"),
    *("Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)
_CODES_OF_HTTP = {"400": "Internal", "401": "Unauthenticated", "403": "PermissionDenied", "404": "Unimplemented"} | (
    dict.fromkeys(("429", "502", "503", "504"), "Unavailable")
)
_CODES_OF_RESET = {"REFUSED_STREAM": "Unavailable", "CANCEL": "Canceled", "ENHANCE_YOUR_CALM": "ResourceExhausted"}
_PREFIX = struct.Struct(">BI")  # whether the message is compressed, and its length
_LONGEST_ENUM = 5  # bytes of a varint


class RpcError(Exception):
    """A call that failed; ``code`` is the name of its gRPC status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code
        self.message = message


def request(service: str) -> bytes:
    """The framed HealthCheckRequest for a service."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return _PREFIX.pack(0, len(message)) + message


def status(body: bytes) -> str:
    """The status in a framed HealthCheckResponse. Raises RpcError where it is none."""
    message = body[_PREFIX.size :]
    if len(body) < _PREFIX.size or _PREFIX.unpack_from(body) != (0, len(message)):
        raise RpcError("Internal", "the answer is not one uncompressed message")
    number = 0  # an enum that is left out is its first value
    if message:
        tag, *digits = message
        if tag != 0x08 or not 1 <= len(digits) <= _LONGEST_ENUM:
            raise RpcError("Internal", "the answer is no HealthCheckResponse")
        number = sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))
    return _STATUSES[number] if number < len(_STATUSES) else str(number)


def verify(headers: Mapping[str, str]) -> None:
    """Raise the RpcError that an answer's headers and trailers tell of; a server may not speak gRPC at all."""
    number = headers.get("grpc-status", "")
    if not number.isdecimal():
        http = headers.get(":status", "")
        phrase = next((known.phrase for known in HTTPStatus if str(known.value) == http), "")
        message = f"unexpected HTTP status code received from server: {http} ({phrase})"
        raise RpcError(_CODES_OF_HTTP.get(http, "Unknown"), message)
    code = _CODES[int(number)] if int(number) < len(_CODES) else f"Code({number})"
    if code != "OK":
        raise RpcError(code, unquote(headers.get("grpc-message", "")))


def reset(code: str) -> RpcError:
    """The error of a stream that the server reset, by the name of HTTP/2's error code."""
    message = f"stream terminated by RST_STREAM with error code: {code}"
    return RpcError(_CODES_OF_RESET.get(code, "Internal"), message)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
