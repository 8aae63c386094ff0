"""Röskva: a SimplePush server that tells clients that something changed, never what."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("roskva")
except PackageNotFoundError:
    # Run from a source tree that was never installed.
    __version__ = "0+source"

__all__ = ["__version__"]
