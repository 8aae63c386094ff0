"""Stores: the contract (``base``) and the backends that keep it."""
