"""Own how the epoch is kept on several shards, and how a store that came back emptier is found out (§11.6).

The epoch stands in 16 hashes, a mark for each 1,024 slots; the largest counts. A mark that is missing where
others are, or was made anew since this node looked, means that a shard lost what it had: the epoch rises.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from roskva.errors import StoreError
from roskva.store.valkey_calls import Call, Mark, bump, check
from roskva.store.valkey_topology import SLOTS, slot_of

MARKS: Final = 16

YOUNG_SECONDS: Final = 60.0
"""Marks as young as this may be a new store's, which another node is making just now."""


def _spell_keys() -> tuple[bytes, ...]:
    keys: dict[int, bytes] = {}
    numbers = itertools.count()
    while len(keys) < MARKS:
        key = b"r:epoch:{%d}" % next(numbers)
        keys.setdefault(slot_of(key) * MARKS // SLOTS, key)
    return tuple(keys[place] for place in range(MARKS))


KEYS: Final = _spell_keys()
"""The marks, in the order of their slots."""


class Epoch:
    """Know the epoch, and raise it when the store has lost something.

    Args:
        ask: begins a call; its result is what the call reads.
    """

    def __init__(self, ask: Callable[[Call], "asyncio.Future[Mark]"]) -> None:
        self.number = 0
        self._ask = ask
        self._born: dict[bytes, str] = {}

    def look(self, keys: Sequence[bytes] = KEYS) -> "asyncio.Future[int]":
        """Read some marks, begun at once; returns the epoch.

        Raises:
            StoreError: none of them could be written.
        """
        begun = self._begin(keys, self.number, self.number + 1)
        return asyncio.ensure_future(self._finish(begun))

    async def bump(self) -> int:
        """Begin a new epoch; returns it.

        Raises:
            StoreError: it may have begun all the same; repeating is safe.
        """
        number = await self.look() + 1
        mark = _make_mark()
        for future in [self._ask(bump(key, number, mark)) for key in KEYS]:
            await future
        return await self.look()

    def _begin(self, keys: Iterable[bytes], known: int, after_loss: int) -> dict[bytes, "asyncio.Future[Mark]"]:
        mark = _make_mark()
        return {key: self._ask(check(key, known, after_loss, self._born.get(key, ""), mark)) for key in keys}

    async def _finish(self, begun: dict[bytes, "asyncio.Future[Mark]"]) -> int:
        marks = await _answers(begun)
        number = max(self.number, *(mark.epoch for mark in marks.values()))
        if self.number == 0 and _is_partly_lost(marks.values()):
            number += 1
        if number != self.number:
            # Also the marks that weren't read, or lag behind.
            marks |= await _answers(self._begin(KEYS, number, number))
            number = max(number, *(mark.epoch for mark in marks.values()))
        self.number = max(self.number, number)
        self._born.update((key, mark.born) for key, mark in marks.items())
        return number


async def _answers(begun: dict[bytes, "asyncio.Future[Mark]"]) -> dict[bytes, Mark]:
    """Wait for all; a shard that doesn't answer is left out, unless all are."""
    answers = await asyncio.gather(*begun.values(), return_exceptions=True)
    marks: dict[bytes, Mark] = {}
    error: BaseException = StoreError("no mark of the epoch was asked for")
    for key, answer in zip(begun, answers, strict=True):
        if isinstance(answer, BaseException):
            error = answer
        else:
            marks[key] = answer
    if not marks:
        raise error
    return marks


def _make_mark() -> str:
    return f"{int(time.time())}-{secrets.token_hex(8)}"


def _is_partly_lost(marks: Iterable[Mark]) -> bool:
    """Tell whether marks are missing of a store that isn't made just now."""
    before = time.time() - YOUNG_SECONDS
    is_old = any(int(mark.born.partition("-")[0]) < before for mark in marks if not mark.is_made)
    return is_old and any(mark.is_made for mark in marks)
