"""The Docker engine behind the ContainerEngine port. The only place that knows Docker."""
