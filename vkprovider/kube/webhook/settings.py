"""How the webhook is to be reached, and which pods it is for: from flags."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlunsplit

import msgspec

from vkprovider.config import ConfigError
from vkprovider.kube.node.resources import duration, pairs
from vkprovider.kube.node.settings import DEFAULT_TAINT
from vkprovider.model import names
from vkprovider.sidecarset.destination import DestinationSettings

NAMESPACE = "vkprovider"
PORT = 10260
AUTHORITY_LIFE = timedelta(days=365)
SHORTEST_LIFE = timedelta(seconds=20)  # certificates have their dates in whole seconds


class WebhookFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of the webhook, as they were typed; "" where nothing was."""

    address: str = ""
    port: int = PORT
    service: str = ""  # NAMESPACE/NAME
    namespace: str = NAMESPACE
    ca_life: str = ""  # as Go writes durations: 8760h
    taint: str = DEFAULT_TAINT.key
    destination_labels: tuple[str, ...] = ()  # each KEY=VALUE[,KEY=VALUE...]


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook is reached at ``address`` (a name or an IP address), or by the Service ``service`` (its namespace
    and name). ``namespace`` is that of its own objects: the authority, its sign of life, the revisions of SidecarSets.
    ``address`` "" is the one this machine reaches the API server from.
    """

    address: str = ""
    port: int = PORT
    service: tuple[str, str] | None = None
    namespace: str = NAMESPACE
    authority_life: timedelta = AUTHORITY_LIFE
    destination: DestinationSettings = DestinationSettings()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses that its certificate is for."""
        if self.service is None:
            return (self.address,)
        namespace, name = self.service
        return (f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")

    def client(self, path: str) -> dict[str, object]:
        """The clientConfig of the configuration, without its CA bundle."""
        if self.service is not None:
            namespace, name = self.service
            return {"service": {"namespace": namespace, "name": name, "path": path, "port": 443}}
        host = f"[{self.address}]" if ":" in self.address else self.address
        return {"url": urlunsplit(("https", f"{host}:{self.port}", path, "", ""))}


def load_webhook_settings(flags: WebhookFlags) -> WebhookSettings:
    """Settings from flags. Raises ConfigError, whose message names the flag."""
    if flags.address and flags.service:
        raise ConfigError("--address and --service: give one of them")
    seconds = duration("--ca-life", flags.ca_life)
    life = AUTHORITY_LIFE if seconds is None else timedelta(seconds=seconds)
    if life < SHORTEST_LIFE:
        raise ConfigError(f"--ca-life: {flags.ca_life} is less than {SHORTEST_LIFE.seconds}s")
    _check("--namespace", names.label(flags.namespace))
    return WebhookSettings(
        address=_address(flags.address),
        port=flags.port,
        service=_service(flags.service),
        namespace=flags.namespace,
        authority_life=life,
        destination=_destination(flags),
    )


def _address(given: str) -> str:
    if ":" in given:
        try:
            return str(ip_address(given.removeprefix("[").removesuffix("]")))
        except ValueError as exc:
            raise ConfigError(f"--address: {given!r} is not an IP address") from exc
    if given:
        _check("--address", names.subdomain(given))
    return given


def _service(given: str) -> tuple[str, str] | None:
    if not given:
        return None
    namespace, slash, name = given.partition("/")
    if not slash:
        raise ConfigError(f"--service: {given!r} is not of the form NAMESPACE/NAME")
    _check("--service", [*names.label(namespace), *names.label(name)])
    return namespace, name


def _destination(flags: WebhookFlags) -> DestinationSettings:
    labels = pairs("--destination-label", flags.destination_labels)
    for key, value in labels.items():
        _check(f"--destination-label: key {key!r}", names.qualified(key))
        _check(f"--destination-label: value {value!r} of {key}", names.label_value(value))
    _check(f"--taint: key {flags.taint!r}", names.qualified(flags.taint))
    usual = DestinationSettings(taint=flags.taint)
    return msgspec.structs.replace(usual, labels=tuple(labels.items())) if labels else usual


def _check(what: str, complaints: Iterable[str]) -> None:
    for complaint in complaints:
        raise ConfigError(f"{what}: {complaint}")
