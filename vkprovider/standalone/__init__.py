"""Manifests run without a cluster: files as the pod source, a terminal as the status sink, Jobs controlled here."""
