"""Whether probes and lifecycle hooks make sense: validateHandler and validateProbe of core/validation/validation.go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vkprovider.model import names
from vkprovider.model.container import Container
from vkprovider.model.findings import Finding, each, forbidden, in_range, invalid, not_negative, one_of, required
from vkprovider.model.probe import ExecAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe

_SIGNAL = (
    "SIG(ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|"
    r"TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(\+\d{1,2})?|RTMAX(-\d{1,2})?)"
)
_PLAIN_INIT = "may not be set for init containers without restartPolicy=Always"


def handlers(container: Container, grace: int, path: str) -> Iterator[Finding]:
    """Findings on the probes and hooks of a container that may have them; ``grace`` is the pod's, in seconds."""
    if container.lifecycle is not None:
        yield from _lifecycle(container.lifecycle, grace, f"{path}.lifecycle")
    for name, probe in _probes(container):
        yield from _probe(probe, name, f"{path}.{name}")


def no_handlers(container: Container, path: str) -> Iterator[Finding]:
    """Findings on an init container that is no sidecar: it may have neither probes nor hooks."""
    if container.lifecycle is not None:
        yield forbidden(f"{path}.lifecycle", _PLAIN_INIT)
    for name, _ in _probes(container):
        yield forbidden(f"{path}.{name}", _PLAIN_INIT)


def _probes(container: Container) -> Iterator[tuple[str, Probe]]:
    probes = {
        "livenessProbe": container.liveness_probe,
        "readinessProbe": container.readiness_probe,
        "startupProbe": container.startup_probe,
    }
    for name, probe in probes.items():
        if probe is not None:
            yield name, probe


def _probe(probe: Probe, name: str, path: str) -> Iterator[Finding]:
    actions = {"exec": probe.exec, "httpGet": probe.http_get, "tcpSocket": probe.tcp_socket, "grpc": probe.grpc}
    yield from _action(actions, path)
    if probe.exec is not None:
        yield from _exec(probe.exec, f"{path}.exec")
    if probe.http_get is not None:
        yield from _http(probe.http_get, f"{path}.httpGet")
    if probe.tcp_socket is not None:
        yield from _port(probe.tcp_socket.port, f"{path}.tcpSocket.port")
    if probe.grpc is not None:
        yield from _port(probe.grpc.port, f"{path}.grpc.port")
    yield from not_negative(f"{path}.initialDelaySeconds", probe.initial_delay_seconds)
    yield from not_negative(f"{path}.timeoutSeconds", probe.timeout_seconds)
    yield from not_negative(f"{path}.periodSeconds", probe.period_seconds)
    yield from not_negative(f"{path}.successThreshold", probe.success_threshold)
    yield from not_negative(f"{path}.failureThreshold", probe.failure_threshold)
    if name != "readinessProbe" and probe.success_threshold > 1:
        yield invalid(f"{path}.successThreshold", probe.success_threshold, "must be 1")
    own_grace = probe.termination_grace_period_seconds
    if own_grace is not None and name == "readinessProbe":
        yield invalid(f"{path}.terminationGracePeriodSeconds", own_grace, "must not be set for readinessProbes")
    elif own_grace is not None and own_grace <= 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", own_grace, "must be greater than 0")


def _lifecycle(lifecycle: Lifecycle, grace: int, path: str) -> Iterator[Finding]:
    for name, hook in (("postStart", lifecycle.post_start), ("preStop", lifecycle.pre_stop)):
        if hook is not None:
            yield from _hook(hook, grace, f"{path}.{name}")
    if lifecycle.stop_signal is not None and not re.fullmatch(_SIGNAL, lifecycle.stop_signal):
        yield invalid(f"{path}.stopSignal", lifecycle.stop_signal, "must be the name of a signal, as SIGTERM")


def _hook(hook: LifecycleHandler, grace: int, path: str) -> Iterator[Finding]:
    actions = {"exec": hook.exec, "httpGet": hook.http_get, "tcpSocket": hook.tcp_socket, "sleep": hook.sleep}
    yield from _action(actions, path)
    if hook.exec is not None:
        yield from _exec(hook.exec, f"{path}.exec")
    if hook.http_get is not None:
        yield from _http(hook.http_get, f"{path}.httpGet")
    if hook.tcp_socket is not None:
        yield from _port(hook.tcp_socket.port, f"{path}.tcpSocket.port")
    if hook.sleep is not None and not 0 <= hook.sleep.seconds <= grace:
        rule = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        yield invalid(f"{path}.sleep", hook.sleep.seconds, rule)


def _action(actions: Mapping[str, object], path: str) -> Iterator[Finding]:
    """Exactly one action is to be given."""
    given = [name for name, action in actions.items() if action is not None]
    if not given:
        yield required(path, "must specify a handler type")
    for name in given[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 handler type")


def _exec(action: ExecAction, path: str) -> Iterator[Finding]:
    if not action.command:
        yield required(f"{path}.command")


def _http(action: HTTPGetAction, path: str) -> Iterator[Finding]:
    yield from _port(action.port, f"{path}.port")
    yield from one_of(f"{path}.scheme", action.scheme, ("HTTP", "HTTPS"))
    for place, header in enumerate(action.http_headers):
        yield from each(f"{path}.httpHeaders[{place}].name", header.name, names.header(header.name))


def _port(port: int | str, path: str) -> Iterator[Finding]:
    if isinstance(port, int):
        yield from in_range(path, port, 1, 65535)
    else:
        yield from each(path, port, names.port_name(port))
