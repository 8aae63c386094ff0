"""Own how the contract's calls are spelled for the server-side functions, and how their answers are read.

Pure: nothing is sent from here. The functions themselves are ``functions.lua``.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from importlib import resources
from typing import NamedTuple

from roskva.store.base import Advanced, Registration, Seating
from roskva.store.valkey_connection import Part, Reply, pack
from roskva.types import MAX_VERSION, Ack, ChannelId, Channels, NodeId, Place, StoredChannel, Uaid, is_uuid, spell_uaid


class Call(NamedTuple):
    """One call of the contract.

    ``is_promise`` tells that its answer must not come before a replica has what it wrote.
    """

    key: bytes
    words: tuple[Part, ...]
    read: Callable[[Reply], object]
    is_promise: bool = True


class Mark(NamedTuple):
    """The epoch as one of its marks tells it; ``born`` names when and by whom that was made."""

    epoch: int
    born: str
    is_made: bool


class Functions(NamedTuple):
    """The server-side functions, named by what they say: two releases never share a name with different code."""

    name: str
    source: str

    @classmethod
    def of(cls, template: str) -> "Functions":
        """Name the functions of a source."""
        name = f"roskva_{hashlib.sha256(template.encode()).hexdigest()[:8]}"
        return cls(name, template.replace("@name@", name))

    @property
    def load(self) -> bytes:
        """The command that loads them."""
        return pack("FUNCTION", "LOAD", self.source)

    def tell(self, channel: bytes, messages: Sequence[bytes], until: int) -> bytes:
        """Spell the command that publishes messages to a channel; ``until`` as for ``call``."""
        return pack("FCALL", f"{self.name}_tell", 0, channel, until, *messages)

    def call(self, calls: Sequence[Call], epoch: int, now: str, until: int) -> bytes:
        """Spell the command that makes calls of one agent, in their order.

        Args:
            calls: of one key.
            epoch: as last told by the store; 0 before.
            now: Unix seconds; "" for the engine's own.
            until: milliseconds of the engine's clock; later they are refused.
        """
        words: list[Part] = ["FCALL", self.name, 1, calls[0].key, epoch, now, until]
        for call in calls:
            words += call.words
        return pack(*words)


@functools.cache
def own_functions() -> Functions:
    """Read the functions of this release."""
    return Functions.of(resources.files("roskva.store").joinpath("functions.lua").read_text(encoding="utf-8"))


def agent_key(uaid: Uaid) -> bytes:
    """Spell the key of an agent: its 16 bytes as they are, which costs half of their text."""
    return b"r:{%b}" % uaid


def enroll(uaid: Uaid, place: Place, wakeup: bytes | None) -> Call:
    """See ``Store.enroll``."""
    return Call(agent_key(uaid), _words("enroll", *_sitting(place, wakeup)), _read_other)


def attach(uaid: Uaid, place: Place, wakeup: bytes | None) -> Call:
    """See ``Store.attach``."""
    return Call(agent_key(uaid), _words("attach", *_sitting(place, wakeup)), _read_seating)


def resume(uaid: Uaid, place: Place) -> Call:
    """See ``Store.resume``."""
    words = _words("resume", _spell_place(place))
    # No promise: agents hear what was accepted also while nothing new can be, and a seat that is lost heals.
    return Call(agent_key(uaid), words, _read_seating, is_promise=False)


def detach(uaid: Uaid, place: Place) -> Call:
    """See ``Store.detach``."""
    return Call(agent_key(uaid), _words("detach", _spell_place(place)), _read_nothing, is_promise=False)


def register(uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Call:
    """See ``Store.register``."""
    told = "" if spelling == channel_id else f":{spelling}"
    return Call(agent_key(uaid), _words("register", _spell_field(channel_id), told, limit), _read_registration)


def unregister(uaid: Uaid, channel_id: ChannelId) -> Call:
    """See ``Store.unregister``."""
    return Call(agent_key(uaid), _words("unregister", _spell_field(channel_id)), _read_nothing)


def advance(uaid: Uaid, channel_id: ChannelId, version: int | None) -> Call:
    """See ``Store.advance``."""
    told = "" if version is None else version
    words = _words("advance", _spell_field(channel_id), told)
    return Call(agent_key(uaid), words, functools.partial(_read_advanced, channel_id))


def ack(uaid: Uaid, updates: Sequence[Ack]) -> Call:
    """See ``Store.ack``."""
    words: list[Part] = []
    for channel_id, version in updates:
        # Others are above any stored version, or acknowledge nothing.
        if 0 < version <= MAX_VERSION:
            words += (_spell_field(channel_id), version)
    return Call(agent_key(uaid), _words("ack", *words), _read_nothing, is_promise=False)


def forget(uaid: Uaid) -> Call:
    """See ``Store.forget``."""
    return Call(agent_key(uaid), _words("forget"), _read_nothing)


def check(key: bytes, known: int, next_epoch: int, known_born: str, new_born: str) -> Call:
    """Read a mark of the epoch, raised to what is known, or to the next one if it was lost; answers a Mark."""
    return Call(key, _words("check", known, next_epoch, known_born, new_born), _read_mark)


def bump(key: bytes, epoch: int, new_born: str) -> Call:
    """Raise a mark to a new epoch."""
    return Call(key, _words("bump", epoch, new_born), _read_nothing)


def claim(key: bytes, names: Sequence[str]) -> Call:
    """Keep the first of some names, unless another one than these is kept already; answers what is kept."""
    return Call(key, _words("claim", *names), _read_text)


def _words(name: str, *args: Part) -> tuple[Part, ...]:
    return (name, len(args), *args)


def _sitting(place: Place, wakeup: bytes | None) -> tuple[Part, ...]:
    return (_spell_place(place),) if wakeup is None else (_spell_place(place), wakeup)


def _spell_place(place: Place) -> str:
    return f"{place.seat}:{place.node}"


def _read_place(text: bytes) -> Place:
    seat, _, node = text.decode().partition(":")
    return Place(NodeId(node), int(seat))


def _spell_field(channel_id: ChannelId) -> bytes:
    if is_uuid(channel_id):
        return b"u" + bytes.fromhex(channel_id.replace("-", ""))
    return b"c" + channel_id.encode()


def _read_field(field: bytes) -> ChannelId:
    return ChannelId(spell_uaid(Uaid(field[1:])) if field[:1] == b"u" else field[1:].decode())


def _read_text(reply: Reply) -> str:
    return str(reply.decode())


def _read_nothing(reply: Reply) -> None:
    return None


def _read_other(reply: Reply) -> Place | None:
    return None if reply is None else _read_place(reply)


def _read_seating(reply: Reply) -> Seating | None:
    return None if reply is None else Seating(_read_channels(reply[1]), _read_other(reply[0]))


def _read_channels(reply: Reply) -> Channels:
    channels = {}
    for field, kept in zip(reply[::2], reply[1::2], strict=True):
        channel_id = _read_field(field)
        version, acked, *spelling = kept.split(b":", 2)
        channels[channel_id] = StoredChannel(int(version), int(acked), spelling[0].decode() if spelling else channel_id)
    return channels


def _read_mark(reply: Reply) -> Mark:
    epoch, born, is_made = reply
    return Mark(epoch, born.decode(), bool(is_made))


def _read_registration(reply: Reply) -> Registration:
    return Registration(reply.decode())


def _read_advanced(channel_id: ChannelId, reply: Reply) -> Advanced | None:
    if reply is None:
        return None
    version, spelling, place = reply
    return Advanced(int(version), spelling[1:].decode() or channel_id, None if place is None else _read_place(place))
