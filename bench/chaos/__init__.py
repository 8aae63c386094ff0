"""Faults on a cluster under load, and what must hold afterwards: ``python -m bench.chaos``."""
