"""Checks and fakes for who builds on Röskva, or replaces a part of it."""

from roskva.testing.clock import FakeClock
from roskva.testing.stores import STORE_CASES, check_store, check_store_case

__all__ = ["STORE_CASES", "FakeClock", "check_store", "check_store_case"]
