"""Developers' tools: what is measured beside ``roskva bench``."""
