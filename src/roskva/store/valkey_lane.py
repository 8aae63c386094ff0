"""Own how the calls of one shard travel: batched, one command an agent, a WAIT behind them, redirects followed.

What a call says is ``valkey_calls``; who serves it ``valkey_cluster``.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from roskva.errors import StoreError
from roskva.store.batch import Batch
from roskva.store.valkey_calls import Call, Functions
from roskva.store.valkey_cluster import Cluster
from roskva.store.valkey_connection import Address, Connection, Refusal, Reply, pack
from roskva.store.valkey_topology import read_redirect

REPLICA_SECONDS = 1.0
"""How long a commit waits for its replicas."""

ROUNDS = 8
"""Redirects followed before a call is given up."""

PAUSE = 0.05
"""Seconds before the third and each later round: nodes need some to agree on who serves a slot."""

_ASKING = pack("ASKING")


class _Group:
    """The calls of one agent in a commit, by their number in it: one command, so that nothing comes between.

    A command for each call would leave their order to luck: one may be redirected, and the next one served.
    """

    __slots__ = ("calls", "is_asking", "numbers", "refusal", "target")

    def __init__(self, target: Address) -> None:
        self.calls: list[Call] = []
        self.numbers: list[int] = []
        self.target = target
        # Before a slot has moved, its next owner serves only who says ASKING, each time.
        self.is_asking = False
        self.refusal: Refusal | None = None

    @property
    def is_promise(self) -> bool:
        return any(call.is_promise for call in self.calls)


class _Commit:
    __slots__ = ("epoch", "groups", "now", "results")

    def __init__(self, calls: Sequence[Call], target: Address, epoch: int, now: str) -> None:
        self.epoch = epoch
        self.now = now
        groups: dict[bytes, _Group] = {}
        for number, call in enumerate(calls):
            group = groups.get(call.key)
            if group is None:
                group = groups[call.key] = _Group(target)
            group.calls.append(call)
            group.numbers.append(number)
        self.groups = list(groups.values())
        self.results: list[object] = [None] * len(calls)

    def take(self, groups: Sequence[_Group], replies: Sequence[Reply]) -> list[_Group]:
        """Read the answers into the results; returns the groups that were refused."""
        refused = []
        for group, reply in zip(groups, replies, strict=True):
            group.refusal = reply if isinstance(reply, Refusal) else None
            if group.refusal is not None:
                refused.append(group)
                continue
            for call, number, answer in zip(group.calls, group.numbers, reply, strict=True):
                self.results[number] = call.read(answer)
        return refused

    def fail(self, group: _Group, error: StoreError) -> None:
        for number in group.numbers:
            self.results[number] = error


class Lane:
    """Commit the calls whose slots one primary serves.

    Args:
        cluster: the connections.
        address: the primary.
        functions: on the server.
        timeout: seconds a commit may take.
        moment: gives the epoch and the seconds, as ``Functions.call`` takes them.
        on_later_epoch: told when an agent is of a later epoch than ``moment`` gives.
    """

    def __init__(
        self,
        cluster: Cluster,
        address: Address,
        functions: Functions,
        *,
        timeout: float,
        moment: Callable[[], tuple[int, str]],
        on_later_epoch: Callable[[], object],
    ) -> None:
        self._cluster = cluster
        self._address = address
        self._functions = functions
        self._timeout = timeout
        self._moment = moment
        self._on_later_epoch = on_later_epoch
        self._wait_ms = int(min(REPLICA_SECONDS, timeout / 2) * 1000)
        self._task: asyncio.Task[None] | None = None
        self._batch: Batch[Call] = Batch(self._send, timeout=timeout)
        self.breaker = self._batch.breaker
        self.submit = self._batch.submit
        self.defer = self._batch.defer

    @property
    def is_idle(self) -> bool:
        """Tell whether no call waits for an answer."""
        return self._batch.is_idle

    async def aclose(self) -> None:
        """Refuse further calls and wait until those begun were answered, or failed by the deadline."""
        await self._batch.aclose()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _send(self, calls: list[Call]) -> None:
        commit = _Commit(calls, self._address, *self._moment())
        connection = self._cluster.connected(self._address)
        if connection is None:
            self._spawn(self._finish(commit, commit.groups))
            return
        # The usual way needs no task.
        commands, wanted = self._spell(commit, commit.groups, connection)
        connection.ask(commands).add_done_callback(lambda replies: self._take(commit, wanted, replies))

    def _take(self, commit: _Commit, wanted: int, future: asyncio.Future[list[Reply]]) -> None:
        try:
            refused = self._read(commit, commit.groups, wanted, future.result())
        except Exception as error:
            self._give_up(error)
            return
        if refused:
            self._spawn(self._finish(commit, self._follow(commit, refused)))
        else:
            self._batch.answer(commit.results)

    def _spell(self, commit: _Commit, groups: Sequence[_Group], connection: Connection) -> tuple[list[bytes], int]:
        """Spell what to send, and how many replicas must have it."""
        is_asking = groups[0].is_asking
        until = connection.answers_until
        commands = []
        for group in groups:
            if is_asking:
                commands.append(_ASKING)
            commands.append(self._functions.call(group.calls, commit.epoch, commit.now, until))
        wanted = self._cluster.wanted_replicas(connection.address) if any(group.is_promise for group in groups) else 0
        if wanted:
            # One for all: it covers what this connection wrote before.
            commands.append(pack("WAIT", wanted, self._wait_ms))
        return commands, wanted

    def _read(self, commit: _Commit, groups: Sequence[_Group], wanted: int, replies: list[Reply]) -> list[_Group]:
        """Read the answers into the results; returns the groups that were refused."""
        found = replies.pop() if wanted else 0
        refused = commit.take(groups, replies[1::2] if groups[0].is_asking else replies)
        # Where nothing was served, nothing had to be waited for: a primary that has just become a replica can't.
        if len(refused) < len(groups) and (isinstance(found, Refusal) or found < wanted):
            self._cluster.doubt()
            error = StoreError(f"{groups[0].target}: {found} of {wanted} replicas have the commit")
            for group in groups:
                if group.refusal is None:
                    commit.fail(group, error)
        return refused

    async def _finish(self, commit: _Commit, groups: list[_Group]) -> None:
        """Ask until every group is served, or can't be."""
        async with asyncio.timeout(self._timeout):
            for number in range(ROUNDS):
                if number >= 2:
                    await asyncio.sleep(PAUSE)
                refused = []
                for some in _by_target(groups):
                    refused += await self._ask(commit, some)
                groups = self._follow(commit, refused)
                if not groups:
                    break
        for group in groups:
            commit.fail(group, _refused(group))
        self._batch.answer(commit.results)

    async def _ask(self, commit: _Commit, groups: list[_Group]) -> list[_Group]:
        """Ask one target; returns the groups that were refused."""
        target = groups[0].target
        try:
            connection = await self._cluster.connection(target)
            if any(group.refusal is not None and group.refusal.wants_functions for group in groups):
                (loaded,) = await connection.ask([self._functions.load])
                if isinstance(loaded, Refusal) and not loaded.has_functions:
                    for group in groups:
                        group.refusal = loaded
                    return groups
            commands, wanted = self._spell(commit, groups, connection)
            replies = await connection.ask(commands)
        except StoreError as error:
            self._cluster.doubt()
            for group in groups:
                commit.fail(group, error)
            return []
        return self._read(commit, groups, wanted, replies)

    def _follow(self, commit: _Commit, refused: list[_Group]) -> list[_Group]:
        """Note what the refusals say; returns the groups to ask for again, the others get an error."""
        again = []
        for group in refused:
            assert group.refusal is not None
            match group.refusal.kind:
                case "MOVED" | "ASK" as kind:
                    slot, address = read_redirect(group.refusal, group.target)
                    if kind == "MOVED":
                        self._cluster.move(slot, address)
                    group.target, group.is_asking = address, kind == "ASK"
                    again.append(group)
                case "ERR" if group.refusal.wants_functions:
                    again.append(group)
                case kind:
                    commit.fail(group, _refused(group))
                    self._cluster.doubt()
                    if kind == "LATEREPOCH":
                        self._on_later_epoch()
                    elif kind == "LATE":
                        self._cluster.drop(group.target)
        return again

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if task.cancelled():
            self._give_up(StoreError("store is closed"))
        elif (error := task.exception()) is not None:
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        self._cluster.doubt()
        reason = str(error) or f"{self._address}: no end in {self._timeout:g} s"
        self._batch.fail(reason, error if isinstance(error, Exception) else None)


def _by_target(groups: list[_Group]) -> list[list[_Group]]:
    targets: dict[tuple[Address, bool], list[_Group]] = {}
    for group in groups:
        targets.setdefault((group.target, group.is_asking), []).append(group)
    return list(targets.values())


def _refused(group: _Group) -> StoreError:
    return StoreError(f"{group.target} refuses: {str(group.refusal)[:100]}")
