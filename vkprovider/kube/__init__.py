"""The API server: where pods come from in a cluster, and where their status and events go."""
