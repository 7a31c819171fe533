"""Doubles that behave: each is held against the real thing by a contract suite."""
