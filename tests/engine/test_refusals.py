from __future__ import annotations

import json
import socket

import aiohttp
import msgspec
import pytest
import requests
import urllib3
from docker.errors import DockerException

from vkprovider.engine.refusals import FAILURES, Refused, engine_error, refused
from vkprovider.errors import EngineConflict, EngineError, EngineNotFound, EngineUnavailable, ImagePullError
from vkprovider.wire.stdcopy import FramingError

NO_ANSWER = "the Docker engine does not answer"


def caused_by(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, EngineError),
        (401, EngineError),
        (403, EngineError),
        (404, EngineNotFound),
        (409, EngineConflict),
        (500, EngineError),
        (501, EngineError),
        (503, EngineUnavailable),
        (0, EngineError),
    ],
)
def test_a_refusal_keeps_the_engines_words(status: int, kind: type[EngineError]):
    error = engine_error(Refused(status, "No such container: x"))
    assert type(error) is kind
    assert str(error) == "No such container: x"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, ImagePullError),
        (404, ImagePullError),
        (409, ImagePullError),
        (500, ImagePullError),
        (503, EngineUnavailable),
    ],
)
def test_a_refusal_while_pulling_is_the_registrys(status: int, kind: type[EngineError]):
    error = engine_error(Refused(status, "manifest unknown"), pulling=True)
    assert type(error) is kind
    assert str(error) == "manifest unknown"


REFUSED = ConnectionRefusedError(111, "Connection refused")
MISSING = FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize(
    ("exc", "message"),
    [
        (requests.ReadTimeout("read timed out"), NO_ANSWER),
        (requests.ConnectTimeout("connect timed out"), NO_ANSWER),
        (TimeoutError(), NO_ANSWER),
        (aiohttp.SocketTimeoutError(), NO_ANSWER),
        (
            caused_by(MISSING, requests.ConnectionError("x")),
            "cannot talk to the Docker engine: No such file or directory",
        ),
        (
            caused_by(caused_by(REFUSED, urllib3.exceptions.ProtocolError("y")), requests.ConnectionError("x")),
            "cannot talk to the Docker engine: Connection refused",
        ),
        (aiohttp.ClientOSError(13, "Permission denied"), "cannot talk to the Docker engine: Permission denied"),
        (aiohttp.ServerDisconnectedError("gone"), "cannot talk to the Docker engine: gone"),
        (aiohttp.ClientPayloadError("half"), "cannot talk to the Docker engine: half"),
        (REFUSED, "cannot talk to the Docker engine: Connection refused"),
        (DockerException("bad certificate"), "cannot talk to the Docker engine: bad certificate"),
        (msgspec.DecodeError("not JSON"), "cannot talk to the Docker engine: not JSON"),
        (FramingError("cut"), "cannot talk to the Docker engine: cut"),
    ],
)
@pytest.mark.parametrize("pulling", [False, True])
def test_no_answer_means_unavailable(exc: Exception, message: str, pulling: bool):
    assert isinstance(exc, FAILURES)
    error = engine_error(exc, pulling=pulling)
    assert type(error) is EngineUnavailable
    assert str(error) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (json.dumps({"message": "No such image: x"}).encode(), "No such image: x"),
        (b"bad gateway\n", "bad gateway"),
        (b"[1]", "[1]"),
        (b"\xff", "\ufffd"),
        (b'{"message":"\xff"}', '{"message":"\ufffd"}'),
        (b"", "the engine answered with status 502"),
    ],
)
def test_an_answer_that_is_an_error(body: bytes, message: str):
    refusal = refused(502, body)
    assert (refusal.status, str(refusal)) == (502, message)


def test_a_real_connection_that_is_refused():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get(f"http://127.0.0.1:{port}", timeout=5)
    assert str(engine_error(raised.value)) == "cannot talk to the Docker engine: Connection refused"
