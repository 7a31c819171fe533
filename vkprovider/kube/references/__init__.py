"""What pods refer to, as the cluster has it now: objects of their namespace and of others, services, certificates."""
