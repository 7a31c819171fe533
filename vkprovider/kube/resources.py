"""Where objects are found in the API."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote


class Resource(NamedTuple):
    """A kind of objects, by the name that paths and permissions have for it. ``group`` is "" for the core API.

    Without a ``plural`` it stands for what the API server says of the version itself: which kinds are in it.
    """

    plural: str
    group: str = ""
    version: str = "v1"

    def at(self, namespace: str = "", name: str = "", subresource: str = "") -> ResourcePath:
        """One object of the kind; without a name all, in one namespace or (without it) everywhere."""
        return ResourcePath(self, namespace, name, subresource)


class ResourcePath(NamedTuple):
    """What a request is about. As text it is what a message calls it: ``pods/status "web" in namespace default``."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def path(self) -> str:
        """The path of the URL."""
        resource = self.resource
        parts = ["apis", resource.group] if resource.group else ["api"]
        parts.append(resource.version)
        if self.namespace:
            parts += ["namespaces", self.namespace]
        parts += [part for part in (resource.plural, self.name, self.subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)

    def __str__(self) -> str:
        kind = self.resource.plural or f"{self.resource.group}/{self.resource.version}"
        kind += f"/{self.subresource}" if self.subresource else ""
        name = f' "{self.name}"' if self.name else ""
        return f"{kind}{name} in namespace {self.namespace}" if self.namespace else kind + name


NODES = Resource("nodes")
PODS = Resource("pods")
NAMESPACES = Resource("namespaces")
EVENTS = Resource("events")
CONFIG_MAPS = Resource("configmaps")
SECRETS = Resource("secrets")
SERVICES = Resource("services")
SERVICE_ACCOUNTS = Resource("serviceaccounts")
VOLUME_CLAIMS = Resource("persistentvolumeclaims")
VOLUMES = Resource("persistentvolumes")
RUNTIME_CLASSES = Resource("runtimeclasses", "node.k8s.io")
SIDECAR_SETS = Resource("sidecarsets", "apps.kruise.io", "v1alpha1")
LATER_SIDECAR_SETS = SIDECAR_SETS._replace(version="v1beta1")  # of OpenKruise 1.9, where nothing else is served
