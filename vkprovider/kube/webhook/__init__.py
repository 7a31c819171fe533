"""The webhook as the API server knows it, what its answers depend on, and the controller of SidecarSets."""
