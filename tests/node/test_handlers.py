"""HTTP and TCP against real servers. The texts are those of Go's net/http, as printed by a Go program."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from tests.node.servers import HOST, closed_port, http_server, raw_server, server_tls, silent_server
from vkprovider.model.probe import HTTPGetAction, HTTPHeader, TCPSocketAction
from vkprovider.node.handlers import (
    NoAnswerError,
    NotTLSError,
    UnusableActionError,
    address,
    http_get,
    tcp_connect,
)

PORTS = (("web", 8080), ("admin", 9090))


async def get(action: HTTPGetAction, deadline: float | None = None) -> tuple[int, str]:
    async with http_get(action, HOST, PORTS, "probe", deadline) as response:
        return response.status, await response.text()


async def failure(action: HTTPGetAction, deadline: float | None = None) -> str:
    with pytest.raises(NoAnswerError) as caught:
        await get(action, deadline)
    return str(caught.value)


# --- where to ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (HTTPGetAction(port=80), ("10.0.0.7", 80)),
        (HTTPGetAction(port="admin"), ("10.0.0.7", 9090)),
        (TCPSocketAction(port="web"), ("10.0.0.7", 8080)),
        (TCPSocketAction(port=65535, host="db.example"), ("db.example", 65535)),
    ],
)
def test_an_action_goes_to_the_pods_ip_or_the_given_host(action, expected):
    assert address(action, "10.0.0.7", PORTS) == expected


@pytest.mark.parametrize(
    ("action", "pod_ip", "message"),
    [
        (HTTPGetAction(port="metrics"), "10.0.0.7", 'port "metrics" not found'),
        (HTTPGetAction(port="8080"), "10.0.0.7", 'port "8080" not found'),
        (TCPSocketAction(port=0), "10.0.0.7", "invalid port number: 0"),
        (TCPSocketAction(port=65536), "10.0.0.7", "invalid port number: 65536"),
        (HTTPGetAction(port=80), "", "the pod has no IP"),
    ],
)
def test_an_action_without_an_address_is_unusable(action, pod_ip, message):
    with pytest.raises(UnusableActionError) as caught:
        address(action, pod_ip, PORTS)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/", "/"),
        ("", "/"),
        ("healthz", "/healthz"),
        ("/a/b?deep=1&x=%20y", "/a/b?deep=1&x=%20y"),
        ("/a b/ü", "/a%20b/%C3%BC"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a#fragment", "/a"),
    ],
)
async def test_the_path_is_asked_for_as_written(path, asked):
    requests: list[bytes] = []
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", requests=requests) as port:
        await get(HTTPGetAction(port=port, path=path))
    assert requests[0].split(b"\r\n")[0].decode() == f"GET {asked} HTTP/1.1"


# --- what is sent -----------------------------------------------------------------------------------------------


async def sent(*headers: tuple[str, str], purpose: str = "probe") -> set[str]:
    """The header lines a server sees, its own address written as ADDRESS."""
    requests: list[bytes] = []
    action_headers = tuple(HTTPHeader(name=n, value=v) for n, v in headers)
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", requests=requests) as port:
        action = HTTPGetAction(port=port, http_headers=action_headers)
        async with http_get(action, HOST, (), purpose, None):
            pass
    lines = requests[0].decode().replace(f"{HOST}:{port}", "ADDRESS").split("\r\n")[1:-2]
    assert len(lines) == len(set(lines))
    return set(lines)


async def test_default_headers():
    expected = {"Host: ADDRESS", "User-Agent: kube-probe/1.34", "Accept: */*", "Connection: close"}
    assert await sent() == expected
    assert "User-Agent: kube-lifecycle/1.34" in await sent(purpose="lifecycle")


async def test_given_headers_win_over_the_defaults():
    given = (("user-agent", "me"), ("Accept", "text/plain"), ("HOST", "shop.example"), ("X-A", "1"), ("X-A", "2"))
    lines = {line.lower() for line in await sent(*given)}
    assert lines == {
        "host: shop.example",
        "user-agent: me",
        "accept: text/plain",
        "x-a: 1",
        "x-a: 2",
        "connection: close",
    }


async def test_an_empty_header_leaves_the_default_out():
    assert await sent(("Accept", ""), ("User-Agent", ""), ("Host", "")) == {"Host: ADDRESS", "Connection: close"}


async def test_framing_headers_are_not_the_specs_to_set():
    lines = await sent(("Content-Length", "7"), ("Transfer-Encoding", "chunked"))
    assert not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in lines)


async def test_no_proxy_is_used(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{HOST}:{closed_port()}")
    assert await sent()


# --- redirects --------------------------------------------------------------------------------------------------


async def redirecting(request: web.Request) -> web.Response:
    """/to/<status>?<location> redirects; every other path tells which path and Host it was asked for."""
    if request.path.startswith("/to/"):
        headers = {"Location": request.query_string} if request.query_string else {}
        return web.Response(status=int(request.path.removeprefix("/to/")), headers=headers)
    return web.Response(text=f"{request.path} {request.headers['Host']}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_the_same_host_is_followed(status):
    async with http_server(redirecting) as port:
        assert await get(HTTPGetAction(port=port, path=f"/to/{status}?/end")) == (200, f"/end {HOST}:{port}")


async def test_a_relative_redirect_keeps_the_given_host_header():
    header = HTTPHeader(name="Host", value="shop.example")
    async with http_server(redirecting) as port:
        relative = HTTPGetAction(port=port, path="/to/302?../end", http_headers=(header,))
        absolute = HTTPGetAction(port=port, path=f"/to/302?http://{HOST}:{port}/end", http_headers=(header,))
        assert await get(relative) == (200, "/end shop.example")
        assert await get(absolute) == (200, f"/end {HOST}:{port}")


async def test_another_port_of_the_same_host_is_followed_to():
    async with http_server(redirecting) as first, http_server(redirecting) as second:
        action = HTTPGetAction(port=first, path=f"/to/302?http://{HOST}:{second}/there")
        assert await get(action) == (200, f"/there {HOST}:{second}")


async def test_no_cookies_are_taken_along():
    cookies: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        if request.path == "/end":
            return web.Response()
        return web.Response(status=302, headers={"Location": "/end", "Set-Cookie": "session=1"})

    async with http_server(answer) as port:
        await get(HTTPGetAction(port=port, host="localhost"))
    assert cookies == [None, None]


@pytest.mark.parametrize("location", ["http://elsewhere.example/", "//elsewhere.example/x", ""])
async def test_a_redirect_elsewhere_or_nowhere_is_the_answer(location):
    async with http_server(redirecting) as port:
        assert await get(HTTPGetAction(port=port, path=f"/to/302?{location}")) == (302, "")


async def test_not_modified_is_no_redirect():
    async with http_server(redirecting) as port:
        assert await get(HTTPGetAction(port=port, path="/to/304?/end")) == (304, "")


async def test_redirects_end_after_ten_requests():
    asked: list[str] = []

    async def circle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/loop"})

    async with http_server(circle) as port:
        text = await failure(HTTPGetAction(port=port, path="/loop"))
    assert text == 'Get "/loop": stopped after 10 redirects'
    assert len(asked) == 10


async def test_a_location_that_is_no_url():
    async with http_server(redirecting) as port:
        text = await failure(HTTPGetAction(port=port, path="/to/302?http://[::1"))
    url = f"http://{HOST}:{port}/to/302?http://[::1"
    assert text.startswith(f'Get "{url}": failed to parse Location header "http://[::1": ')


async def test_a_location_without_a_sensible_port():
    async with http_server(redirecting) as port:
        text = await failure(HTTPGetAction(port=port, path=f"/to/302?http://{HOST}:port/"))
    assert text.startswith(f'Get "http://{HOST}:port/": ')


# --- HTTPS ------------------------------------------------------------------------------------------------------


async def test_a_certificate_is_not_looked_at(tmp_path):
    async with http_server(redirecting, server_tls(tmp_path)) as port:
        assert await get(HTTPGetAction(port=port, scheme="HTTPS", path="/x")) == (200, f"/x {HOST}:{port}")


async def test_https_to_a_server_of_plain_http():
    async with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        with pytest.raises(NotTLSError) as caught:
            await get(HTTPGetAction(port=port, scheme="HTTPS", path="/x"))
    assert str(caught.value) == f'Get "https://{HOST}:{port}/x": http: server gave HTTP response to HTTPS client'


async def test_https_to_a_server_that_hangs_up():
    async with raw_server(b"") as port:
        assert await failure(HTTPGetAction(port=port, scheme="HTTPS")) == f'Get "https://{HOST}:{port}/": EOF'


# --- no answer --------------------------------------------------------------------------------------------------


async def test_refused():
    port = closed_port()
    expected = f'Get "http://{HOST}:{port}/x": dial tcp {HOST}:{port}: connect: connection refused'
    assert await failure(HTTPGetAction(port=port, path="/x")) == expected


async def test_hung_up():
    async with raw_server(b"") as port:
        assert await failure(HTTPGetAction(port=port, path="/x")) == f'Get "http://{HOST}:{port}/x": EOF'


async def test_reset():
    async with raw_server(b"", reset=True) as port:
        text = await failure(HTTPGetAction(port=port, path="/x"))
    assert text == f'Get "http://{HOST}:{port}/x": read tcp {HOST}:{port}: read: connection reset by peer'


@pytest.mark.parametrize("reply", [b"SSH-2.0-foo\r\n", b"HTTP/1.1 abc OK\r\n\r\n"])
async def test_not_http(reply):
    async with raw_server(reply) as port:
        text = await failure(HTTPGetAction(port=port, path="/x"))
    broken = "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
    assert text == f'Get "http://{HOST}:{port}/x": {broken}'


async def test_no_answer_in_time():
    with silent_server() as port:
        text = await failure(HTTPGetAction(port=port, path="/x"), asyncio.get_running_loop().time() + 0.05)
    why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert text == f'Get "http://{HOST}:{port}/x": {why}'


@pytest.fixture
def nobody_knows_any_name(monkeypatch):
    def unknown(host, *_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


@pytest.mark.usefixtures("nobody_knows_any_name")
async def test_no_such_host():
    text = await failure(HTTPGetAction(port=80, host="no-such-host.invalid"))
    assert text == 'Get "http://no-such-host.invalid:80/": dial tcp: lookup no-such-host.invalid: no such host'


async def test_a_header_that_http_does_not_allow():
    header = HTTPHeader(name="X-A", value="b\r\nX-B: c")
    port = closed_port()
    assert (await failure(HTTPGetAction(port=port, http_headers=(header,)))).startswith(
        f'Get "http://{HOST}:{port}/": '
    )


# --- TCP --------------------------------------------------------------------------------------------------------


async def test_a_port_that_listens_accepts():
    with silent_server() as port:
        await tcp_connect(TCPSocketAction(port=port), HOST, (), timeout=5)
        await tcp_connect(TCPSocketAction(port="web"), HOST, (("web", port),), timeout=5)


@pytest.mark.parametrize(("host", "shown"), [(HOST, HOST), ("::1", "[::1]")])
async def test_a_port_that_does_not_listen_refuses(host, shown):
    port = closed_port()
    with pytest.raises(NoAnswerError) as caught:
        await tcp_connect(TCPSocketAction(port=port, host=host), "10.0.0.7", (), timeout=5)
    assert str(caught.value) == f"dial tcp {shown}:{port}: connect: connection refused"


async def test_a_connection_that_takes_too_long():
    with silent_server() as port, pytest.raises(NoAnswerError) as caught:
        await tcp_connect(TCPSocketAction(port=port), HOST, (), timeout=0)
    assert str(caught.value) == f"dial tcp {HOST}:{port}: i/o timeout"


@pytest.mark.usefixtures("nobody_knows_any_name")
async def test_a_name_nobody_knows():
    with pytest.raises(NoAnswerError) as caught:
        await tcp_connect(TCPSocketAction(port=80, host="no-such-host.invalid"), "", (), timeout=5)
    assert str(caught.value) == "dial tcp: lookup no-such-host.invalid: no such host"
