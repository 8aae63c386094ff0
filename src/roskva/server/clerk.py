"""Own carrying out what sessions ask of the registry, for all agents of a node: hello, register, unregister, ack.

The protocol's answers are the session's, the promises the registrar's; here they meet, and here a
store that can't answer becomes a 500 or a 1013.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from roskva.errors import StoreError
from roskva.protocol.endpoint import Sealer
from roskva.protocol.session import Enter, Greet, Leave, Rules, Send, Session, Settle
from roskva.registry.presence import Enrolled
from roskva.registry.registrar import RegisterOutcome, Registrar, Welcome
from roskva.server import log
from roskva.server.shell import Shell
from roskva.types import Uaid

if TYPE_CHECKING:
    from roskva.server.connection import AgentConnection

INTERNAL_ERROR = 1011
TRY_LATER = 1013

UPDATE_PATH = "/update/"
"""Where endpoints are, before their token."""

_NO_STORE = "the store can't answer, try again"


class Clerk:
    """Carries out the steps of every session of a node."""

    __slots__ = ("_registrar", "_sealer", "next_seat", "rules", "shell")

    def __init__(self, shell: Shell, registrar: Registrar, sealer: Sealer, rules: Rules) -> None:
        self.shell = shell
        self.rules = rules
        self.next_seat: Callable[[], int] = itertools.count(1).__next__
        self._registrar = registrar
        self._sealer = sealer

    def perform(self, connection: "AgentConnection", uaid: Uaid | None, step: Greet | Enter | Leave | Settle) -> None:
        """Begin a step; one agent's registers and unregisters reach the store in the order in which they came."""
        if isinstance(step, Greet):
            self._greet(connection, step)
            return
        assert uaid is not None
        match step:
            case Settle():
                self._settle(connection, uaid, step)
            case Enter():
                self._begin(connection, self._register(connection, uaid, step))
            case Leave():
                self._begin(connection, self._unregister(connection, uaid, step))
            case unreachable:
                assert_never(unreachable)

    def leave(self, connection: "AgentConnection", uaid: Uaid) -> None:
        """Clear the seat of a lost connection."""
        log.agent("left", uaid)
        self.shell.spawn(self._leave(connection, uaid, is_stored=connection.enrolled is not Enrolled.NO))

    def _begin(self, connection: "AgentConnection", work: Coroutine[Any, Any, None]) -> None:
        connection.begin()
        self.shell.spawn(self._count(connection, work))

    async def _count(self, connection: "AgentConnection", work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            self._give_up(connection)
        finally:
            connection.end()

    def _greet(self, connection: "AgentConnection", step: Greet) -> None:
        if self.shell.limits.hellos.admit(self.shell.now()):
            self.shell.counts.hellos["overload"] += 1
            connection.close(TRY_LATER, "too many hellos, try later")
            return
        connection.hold()
        self._begin(connection, self._hello(connection, step))

    async def _hello(self, connection: "AgentConnection", step: Greet) -> None:
        try:
            welcome = await self._registrar.hello(connection, step.uaid, step.listed, step.wakeup)
        except StoreError as error:
            self._note(error)
            self.shell.counts.hellos["unavailable"] += 1
            # Never a new UAID, nor a reply without one (§3.8).
            connection.close(TRY_LATER, _NO_STORE)
            return
        if connection.is_closing:
            await self._leave(connection, welcome.uaid, is_stored=welcome.is_enrolled)
        else:
            self._welcome(connection, step, welcome)

    def _welcome(self, connection: "AgentConnection", step: Greet, welcome: Welcome) -> None:
        outcome = "new" if welcome.is_new else "kept"
        self.shell.counts.hellos[outcome] += 1
        log.agent("hello", welcome.uaid, outcome=outcome, pending=len(welcome.pending))
        if welcome.is_enrolled:
            connection.enrolled = Enrolled.YES
        else:
            connection.wakeup = step.wakeup
        connection.welcome(welcome.uaid, None if welcome.is_new else step.spelling, welcome.pending)

    async def _register(self, connection: "AgentConnection", uaid: Uaid, step: Enter) -> None:
        reply = await self._try_register(connection, uaid, step)
        connection.send(reply.payload)
        if reply.close_code:
            connection.close(reply.close_code, "say hello again")

    async def _try_register(self, connection: "AgentConnection", uaid: Uaid, step: Enter) -> Send:
        wait = self.shell.limits.registers.admit(uaid, self.shell.now())
        if wait:
            return self._fail(step, f"too many registers, try again in {wait:.0f} s")
        is_enrolled = connection.enrolled is Enrolled.YES
        if not is_enrolled:
            connection.enrolled = Enrolled.MAYBE
        connection.begin_register(step.channel_id)
        try:
            outcome = await self._registrar.register(
                connection, uaid, step.channel_id, step.spelling, connection.wakeup, is_enrolled=is_enrolled
            )
        except StoreError as error:
            self._note(error)
            return self._fail(step, _NO_STORE)
        finally:
            connection.end_register(step.channel_id)
        match outcome:
            case RegisterOutcome.DONE:
                self.shell.counts.registers[200] += 1
                connection.enrolled, connection.wakeup = Enrolled.YES, None
                endpoint = connection.base + UPDATE_PATH + self._sealer.seal(uaid, step.channel_id)
                return Send(Session.registered(step.spelling, endpoint))
            case RegisterOutcome.FULL:
                return self._fail(step, f"an agent may hold {self.shell.config.channels_per_agent} channels")
            case RegisterOutcome.FORGOTTEN:
                return self._fail(step, "this agent was forgotten, say hello again", TRY_LATER)

    def _fail(self, step: Enter, reason: str, close_code: int = 0) -> Send:
        self.shell.counts.registers[500] += 1
        return Send(Session.register_failed(step.spelling, reason), close_code)

    async def _unregister(self, connection: "AgentConnection", uaid: Uaid, step: Leave) -> None:
        try:
            await self._registrar.unregister(connection, uaid, step.channel_id)
        except StoreError as error:
            self._note(error)
            self.shell.counts.unregisters[500] += 1
            connection.send(Session.unregister_failed(step.spelling, _NO_STORE))
        else:
            self.shell.counts.unregisters[200] += 1
            connection.send(Session.unregistered(step.spelling))

    def _settle(self, connection: "AgentConnection", uaid: Uaid, step: Settle) -> None:
        acks = connection.settle(step.acks)
        if acks:
            connection.begin()
            # No task: there is one ack for each update, and nothing to do after it but to count.
            self.shell.watch(self._registrar.ack(uaid, acks), partial(self._settled, connection, len(acks)))

    def _settled(self, connection: "AgentConnection", count: int, call: asyncio.Future[None]) -> None:
        try:
            if not call.cancelled():
                call.result()
                self.shell.counts.acks += count
        except StoreError as error:
            # Left pending in the store: the next hello brings it again.
            self._note(error)
        except Exception:
            self._give_up(connection)
        finally:
            connection.end()

    def _give_up(self, connection: "AgentConnection") -> None:
        """Report the exception being handled; it is a fault of ours, and costs this agent its socket."""
        self.shell.report("task_failed")
        connection.close(INTERNAL_ERROR, "internal error")

    async def _leave(self, connection: "AgentConnection", uaid: Uaid, *, is_stored: bool) -> None:
        try:
            await self._registrar.leave(connection, uaid, is_stored=is_stored)
        except StoreError as error:
            # The seat stays in the store until the next hello; nobody is found on it meanwhile.
            self._note(error)

    def _note(self, error: StoreError) -> None:
        self.shell.counts.store_errors += 1
        log.debug("store_error", error=error)
