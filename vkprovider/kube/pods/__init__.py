"""Pods of the API on their way to the node, and their statuses on the way back."""
