"""What Prometheus is told, in the kubelet's names where it has one. The only importer of ``prometheus_client``."""
