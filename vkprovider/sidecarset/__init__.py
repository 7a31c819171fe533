"""SidecarSets: which pods one is for, what it makes of them, and which objects of other namespaces its sidecars see.

Pods are plain JSON objects here, as the API server sends them. No IO, no clock.
"""
