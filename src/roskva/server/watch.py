"""Own a node's view of its store: whether it answers, what its epoch is, and what an outage means for the agents here.

An outage is of the store, or of the hints of other nodes.

A short outage costs them nothing: sockets stay, and what can't be stored is refused where it is asked for. After a
long one of either they are sent elsewhere: an agent on a node without its store, or that no hints reach, is deaf to
what other nodes accept for it.
"""

from collections.abc import Callable

from roskva.errors import StoreError
from roskva.registry.presence import Presence, Seat
from roskva.server import log
from roskva.server.clerk import TRY_LATER
from roskva.server.shell import CUT_OFF, Shell
from roskva.store.base import Store

CHECK_EVERY = 10
"""Seconds between two looks at the store's health and epoch; while it doesn't answer, one."""

SHED_SECONDS = 60.0
"""Over how many seconds agents are sent away: of 100,000 some 1,700 a second, a tenth of what another node admits."""

EPOCH_CHANGED = 1012


class Watch:
    """Watch one node's store: ``open`` first, then ``tick`` every second, and ``check`` when it is due."""

    __slots__ = (
        "_crowd", "_deaf_at", "_epoch", "_hears", "_is_checking", "_leaving", "_lost_at", "_open", "_opened",
        "_presence", "_seconds", "_shed_at", "_shell", "_store",
    )  # fmt: skip

    def __init__(self, shell: Shell, presence: Presence, store: Store, hears: Callable[[], bool]) -> None:
        self._shell = shell
        self._presence = presence
        self._store = store
        self._epoch: int | None = None
        self._is_checking = False
        self._seconds = 0
        self._lost_at: float | None = None
        self._hears = hears  # whether hints from other nodes reach this one
        self._deaf_at: float | None = None
        self._shed_at = 0.0
        self._leaving: list[Seat] = []  # those still to be sent away, the last first
        self._crowd = 0  # how many they were
        self._open = self._opened = 0

    @property
    def is_check_due(self) -> bool:
        """Whether to look in this second: every ``CHECK_EVERY``, and while the store doesn't answer."""
        return self._lost_at is not None or self._seconds % CHECK_EVERY == 0

    async def open(self) -> None:
        """Look for the first time.

        Raises:
            StoreError: The store doesn't answer.
        """
        self._epoch = await self._store.check()

    async def check(self) -> None:
        """Look whether the store answers, and close every agent if its epoch has changed (§11.6); once at a time."""
        if self._is_checking:
            return
        self._is_checking = True
        asked_at = self._shell.now()
        try:
            epoch = await self._store.check()
        except StoreError as error:
            if self._lost_at is None:
                self._lost_at = asked_at
                log.error("store_lost", error=error)
        else:
            self._find(epoch)
        finally:
            self._is_checking = False

    def tick(self) -> None:
        """Begin a new second: note what the breakers did, and send agents away if the outage is a long one."""
        self._seconds += 1
        self._count_breakers()
        now, patience = self._shell.now(), self._shell.config.store_outage_seconds
        if self._hears():
            self._deaf_at = None
        elif self._deaf_at is None:
            self._deaf_at = now
        out_at = min((at for at in (self._lost_at, self._deaf_at) if at is not None), default=None)
        if out_at is None:
            self._keep_agents()
        elif patience and now - out_at >= patience:
            self._shed(now)

    def _find(self, epoch: int) -> None:
        if self._lost_at is not None:
            log.info("store_back", seconds=round(self._shell.now() - self._lost_at, 1))
            self._lost_at = None
            if self._deaf_at is None:
                self._keep_agents()
        if epoch != self._epoch:
            log.warning("epoch_changed", before=self._epoch, now=epoch, agents=len(self._presence))
            self._epoch = epoch
            for seat in self._presence:
                seat.close(EPOCH_CHANGED, "say hello again")

    def _keep_agents(self) -> None:
        self._shell.is_cut_off = False
        self._leaving = []

    def _shed(self, now: float) -> None:
        """Close as many agents as should be gone by now, at even pace and in no order that anybody knows."""
        if not self._shell.is_cut_off:
            self._shell.is_cut_off = True
            self._shed_at = now
            self._leaving = sorted(self._presence, key=lambda _: self._shell.chance())
            self._crowd = len(self._leaving)
            log.error("shedding", agents=self._crowd, seconds=SHED_SECONDS)
        part = min(1.0, (now - self._shed_at + 1.0) / SHED_SECONDS)
        counts = self._shell.counts
        before = counts.closes[TRY_LATER]
        while len(self._leaving) > self._crowd - self._crowd * part:
            self._leaving.pop().close(TRY_LATER, CUT_OFF)
        counts.shed += counts.closes[TRY_LATER] - before

    def _count_breakers(self) -> None:
        breakers = self._store.breakers
        opened = sum(breaker.opened for breaker in breakers)
        is_open = sum(not breaker.is_closed for breaker in breakers)
        self._shell.counts.breaker_openings += max(0, opened - self._opened)
        if is_open != self._open:
            log.warning("breakers", open=is_open, of=len(breakers))
        self._open, self._opened = is_open, opened
