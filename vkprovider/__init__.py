"""vkprovider: a virtual kubelet whose pods are real containers on the local Docker engine."""

__version__ = "0.1.0"
