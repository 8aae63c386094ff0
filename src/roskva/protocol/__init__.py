"""The pure protocol core: bytes and messages in, steps and bytes out (docs/protocol.md)."""
