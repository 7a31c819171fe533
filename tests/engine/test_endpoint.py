from __future__ import annotations

import hashlib
import json
import ssl
from pathlib import Path

import pytest

from tests.node.servers import CERTIFICATE
from vkprovider.engine.endpoint import find_endpoint, tls_context
from vkprovider.errors import EngineUnavailable

USUAL = "http+unix:///var/run/docker.sock"


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Docker configuration of the test's own, with a context named "there"."""
    directory = tmp_path / "docker"
    context = directory / "contexts" / "meta" / hashlib.sha256(b"there").hexdigest()
    context.mkdir(parents=True)
    endpoints = {"docker": {"Host": "unix:///run/there.sock", "SkipTLSVerify": False}}
    (context / "meta.json").write_text(json.dumps({"Name": "there", "Metadata": {}, "Endpoints": endpoints}))
    (directory / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(directory))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    return directory


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    directory = tmp_path / "certificates"
    directory.mkdir()
    key, _, certificate = CERTIFICATE.partition("-----BEGIN CERTIFICATE-----")
    (directory / "key.pem").write_text(key)
    for name in ("cert.pem", "ca.pem"):
        (directory / name).write_text(f"-----BEGIN CERTIFICATE-----{certificate}")
    return directory


@pytest.mark.parametrize(
    ("base_url", "environ", "url"),
    [
        ("", {}, USUAL),
        ("", {"DOCKER_HOST": ""}, USUAL),
        ("", {"DOCKER_HOST": "unix:///run/env.sock"}, "http+unix:///run/env.sock"),
        ("", {"DOCKER_HOST": "tcp://127.0.0.1:2375"}, "http://127.0.0.1:2375"),
        ("", {"DOCKER_CONTEXT": "there"}, "http+unix:///run/there.sock"),
        ("", {"DOCKER_CONTEXT": "default"}, USUAL),
        ("", {"DOCKER_HOST": "unix:///run/env.sock", "DOCKER_CONTEXT": "there"}, "http+unix:///run/env.sock"),
        ("unix:///run/given.sock", {"DOCKER_HOST": "unix:///run/env.sock"}, "http+unix:///run/given.sock"),
    ],
)
def test_where_the_engine_is(base_url: str, environ: dict[str, str], url: str):
    assert find_endpoint(base_url, environ).url == url


def test_the_current_context_of_the_configuration(docker_config: Path):
    (docker_config / "config.json").write_text('{"currentContext": "there"}')
    assert find_endpoint(environ={}).url == "http+unix:///run/there.sock"
    assert find_endpoint(environ={"DOCKER_CONTEXT": "default"}).url == USUAL


def test_the_environment_is_the_process_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/env.sock")
    assert find_endpoint().socket_path == "/run/env.sock"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DOCKER_CONTEXT": "nowhere"}, "context does not exist"),
        ({"DOCKER_HOST": "ssh://me@there"}, "must run on it too"),
        ({"DOCKER_HOST": "gopher://there"}, "protocol"),
        ({"DOCKER_HOST": "tcp://there"}, "port"),
        ({"DOCKER_HOST": "tcp://there:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nowhere"}, "certificate"),
    ],
)
def test_what_names_no_engine(environ: dict[str, str], message: str):
    with pytest.raises(EngineUnavailable, match=message):
        find_endpoint(environ=environ)


@pytest.mark.parametrize(("verify", "mode"), [("1", ssl.CERT_REQUIRED), ("", ssl.CERT_NONE)])
def test_tls_from_the_environment(certificates: Path, verify: str, mode: ssl.VerifyMode):
    environ = {
        "DOCKER_HOST": "tcp://127.0.0.1:2376",
        "DOCKER_CERT_PATH": str(certificates),
        "DOCKER_TLS_VERIFY": verify,
    }
    endpoint = find_endpoint(environ=environ)
    assert endpoint.url == "https://127.0.0.1:2376"
    client = endpoint.client("1.41")
    assert client.cert == (str(certificates / "cert.pem"), str(certificates / "key.pem"))
    assert client.verify == (str(certificates / "ca.pem") if verify else False)
    assert endpoint.tls is not None
    context = tls_context(endpoint.tls)
    assert context.verify_mode is mode
    assert context.check_hostname is bool(verify)


def test_a_client_asks_no_proxy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert not find_endpoint("tcp://127.0.0.1:2375").client("1.41").trust_env
