"""Own the interface that carries hints to other nodes. A hint may be lost; the store is the promise."""

from typing import Protocol

from roskva.types import Place, Uaid, Update


class Courier(Protocol):
    """Carries hints between nodes."""

    async def carry(self, place: Place, uaid: Uaid, update: Update) -> bool:
        """Carry the update to the node of ``place``; False if surely nobody took it, so the seat can be cleared.

        Raises:
            HintError: It may be lost; repeating is safe.
        """
        ...

    def displace(self, place: Place, uaid: Uaid) -> None:
        """Tell the node of ``place`` that its connection was superseded by a newer one (§3.5)."""
        ...


class NoCourier:
    """The courier of a node that is alone: there is nobody else."""

    async def carry(self, place: Place, uaid: Uaid, update: Update) -> bool:
        """Take nothing."""
        return False

    def displace(self, place: Place, uaid: Uaid) -> None:
        """Tell nobody."""
