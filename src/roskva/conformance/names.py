"""Own what channels are called on the wire, where a server is known to take UUIDs only (profile ``interop``).

Cases call channels ``a`` or ``kept``. Here such a name becomes a UUID on its way to the server, and the name again
on its way back, so that a rule isn't failed for another one's sake. What is no such name stays as it is.
"""

import re
import uuid
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")


class Names:
    """The UUIDs of one case: a name has the same one for all of its agents."""

    def __init__(self) -> None:
        self._uuids: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def spell(self, message: object) -> object:
        """Return a message as the server gets it."""
        return _translate(message, self._to_uuid)

    def read(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message of the server as a case knows it."""
        read = _translate(message, lambda name: self._names.get(name, name))
        assert isinstance(read, dict)
        return read

    def _to_uuid(self, name: str) -> str:
        if not _NAME.fullmatch(name) or len(name) in (32, 36):
            return name
        if name not in self._uuids:
            self._uuids[name] = str(uuid.uuid4())
            self._names[self._uuids[name]] = name
        return self._uuids[name]


def _translate(message: object, name_of: Any) -> object:
    if not isinstance(message, dict):
        return message
    translated = dict(message)
    for key, value in message.items():
        if key == "channelID" and isinstance(value, str):
            translated[key] = name_of(value)
        elif key == "channelIDs" and isinstance(value, list):
            translated[key] = [name_of(each) if isinstance(each, str) else each for each in value]
        elif key == "updates" and isinstance(value, list):
            translated[key] = [_translate(each, name_of) for each in value]
    return translated
