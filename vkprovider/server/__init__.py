"""The kubelet's API: what the API server asks of a node on behalf of kubectl."""
