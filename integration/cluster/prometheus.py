"""A real Prometheus, Debian's, that scrapes what it is told on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from .probes import answers, free_ports
from .server import Server

PROGRAM = "prometheus"
FAST = {"scrape_interval": "1s", "evaluation_interval": "1s"}


class Prometheus:
    """A server at ``url``, to be asked in PromQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = build_opener(ProxyHandler({}))

    def get(self, path: str, **query: str) -> Any:
        """The ``data`` of an answer of its API."""
        with self._opener.open(f"{self.url}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[float]:
        """The values of a query now; none where nothing is found."""
        result = self.get("query", query=expression)["result"]
        return [float(each["value"][1]) for each in result]


@contextmanager
def prometheus(folder: Path, config: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Run one, on loopback, as long as the block does; it looks at everything each second. Raises ServerError."""
    path, port = folder / "prometheus.yml", free_ports(1)[0]
    path.write_text(yaml.safe_dump({**config, "global": FAST}))
    url = f"http://127.0.0.1:{port}"
    command = [
        *("setpriv", "--pdeathsig", "KILL"),  # a test run that is killed leaves no server
        shutil.which(PROGRAM) or PROGRAM,
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    server = Server(PROGRAM, command, folder, lambda: answers(f"{url}/-/ready"))
    server.start()
    try:
        server.wait()
        yield Prometheus(url)
    finally:
        server.stop()
