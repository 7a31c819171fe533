"""Values only: what a pod asks for, what the engine shows, what is published. No behaviour beyond reading."""
