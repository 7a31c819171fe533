"""Probes and lifecycle hooks of a container, as core/v1 declares them."""

from __future__ import annotations

import msgspec

from vkprovider.model.base import Model


class ExecAction(Model, frozen=True, kw_only=True):
    """A command run inside the container; no shell is involved."""

    command: tuple[str, ...] = ()


class HTTPHeader(Model, frozen=True, kw_only=True):
    name: str
    value: str = ""


class HTTPGetAction(Model, frozen=True, kw_only=True):
    """A GET request; ``host`` defaults to the pod's IP, ``port`` is a number or the name of a container port."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(Model, frozen=True, kw_only=True):
    port: int | str
    host: str = ""


class GRPCAction(Model, frozen=True, kw_only=True):
    """A call of grpc.health.v1.Health/Check at the pod's IP; ``service`` is whose health is asked for."""

    port: int
    service: str = ""


class SleepAction(Model, frozen=True, kw_only=True):
    seconds: int


class Probe(Model, frozen=True, kw_only=True):
    """A probe with the API server's defaults (pkg/apis/core/v1/defaults.go). All times are whole seconds."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(Model, frozen=True, kw_only=True):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Model, frozen=True, kw_only=True):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str | None = msgspec.field(default=None)
