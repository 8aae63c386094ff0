"""Own the log: one line an event on stderr, as key=value or JSON.

An event is a short constant name; what varies goes into fields, and no secret into any (§11.1): an
agent is named by ``hashed``. Inner rings don't log, they return outcomes.
"""

import hashlib
import json
import logging
import re
import secrets
import sys
from datetime import UTC, datetime
from typing import Final, Literal

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

HIDDEN: Final = "(hidden)"
"""What stands for a possible secret in the text of an unexpected exception, or of another library (§11.1)."""

_OURS: Final = "roskva"
_logger = logging.getLogger(_OURS)
_common: dict[str, object] = {}
_hash_key = secrets.token_bytes(32)
_PLAIN: Final = re.compile(r'(?:(?!["=\\])[!-~])+')
_SECRETS: Final = re.compile(
    r"""b'(?:[^'\\]|\\.)*'|b"(?:[^"\\]|\\.)*"|[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[\w-]{46,}"""
)
"""What may be one in text that isn't ours: bytes, a UUID, or a word as long as an endpoint's token."""


def setup(log_format: str, log_level: str, **common: object) -> None:
    """Send every logger's lines to stderr in one format; may be called again.

    Args:
        log_format: one of ``FORMATS``.
        common: fields of every line, as the number of the worker that writes it.
        log_level: one of ``LEVELS``. Other libraries are heard from ``warning`` up, as they log whole
            messages, and with them UAIDs, at ``debug``.
    """
    _common.clear()
    _common.update(common)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    level = getattr(logging, log_level.upper())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(max(level, logging.WARNING))
    _logger.setLevel(level)


def debug(event: str, /, **fields: object) -> None:
    """Log what only somebody looking for a fault wants."""
    _log(logging.DEBUG, event, fields)


def info(event: str, /, **fields: object) -> None:
    """Log a step of the node's life."""
    _log(logging.INFO, event, fields)


def warning(event: str, /, **fields: object) -> None:
    """Log what works, but needs somebody's attention."""
    _log(logging.WARNING, event, fields)


def error(event: str, /, **fields: object) -> None:
    """Log what failed."""
    _log(logging.ERROR, event, fields)


def exception(event: str, /, **fields: object) -> None:
    """Log what failed with the exception being handled, its traceback in one field and without secrets."""
    _log(logging.ERROR, event, fields, exc_info=True)


def agent(event: str, uaid: bytes, /, **fields: object) -> None:
    """Log, at ``debug``, what happened to one agent; it is named by its hash."""
    if _logger.isEnabledFor(logging.DEBUG):
        _log(logging.DEBUG, event, {"agent": hashed(uaid), **fields})


def hashed(uaid: bytes) -> str:
    """Name an agent in the log: 16 hex digits, the same within this process and meaningless outside."""
    return hashlib.blake2s(uaid, key=_hash_key, digest_size=8).hexdigest()


def _log(level: int, event: str, fields: dict[str, object], *, exc_info: Literal[True] | None = None) -> None:
    if _logger.isEnabledFor(level):
        _logger.log(level, event, exc_info=exc_info, extra={"fields": fields})


class _TextFormatter(logging.Formatter):
    """``2026-01-01T00:00:00.000Z INFO listening host=127.0.0.1 port=8080``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, whatever the values hold."""
        words = [_time(record), record.levelname, _quote(_event(record))]
        words += [f"{name}={_quote(_spell(value))}" for name, value in _fields(self, record).items()]
        return " ".join(words)


class _JsonFormatter(logging.Formatter):
    """``{"time": …, "level": "info", "event": "listening", "host": "127.0.0.1", "port": 8080}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, whatever the values hold."""
        head = {"time": _time(record), "level": record.levelname.lower(), "event": _event(record)}
        # Twice: first for the order, last so that no field of the same name hides it.
        return json.dumps({**head, **_fields(self, record), **head}, default=str)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> str:
    return str(record.msg) if record.name == _OURS else _SECRETS.sub(HIDDEN, record.getMessage())


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, object]:
    fields = {**_common, **getattr(record, "fields", {})}
    if record.name != _OURS:
        fields["logger"] = record.name
    if record.exc_info:
        fields["exception"] = _SECRETS.sub(HIDDEN, formatter.formatException(record.exc_info))
    return fields


def _spell(value: object) -> str:
    """Spell a value as JSON would, a string as itself."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def _quote(text: str) -> str:
    """Keep a plain word, and make anything else a JSON string: no line ends, no second field."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
