"""The log: one line an event, whatever is in it (docs/protocol.md §11.1 for secrets)."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from roskva.server import log

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    ours = logging.getLogger("roskva")
    before = logging.root.handlers[:], logging.root.level, ours.level
    yield
    log.setup("text", "info")
    logging.root.handlers[:] = before[0]
    logging.root.setLevel(before[1])
    ours.setLevel(before[2])


def read_json(text: str) -> list[dict[str, object]]:
    """Read one JSON object a line."""
    return [json.loads(line) for line in text.splitlines()]


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is its time, level, name and fields, on stderr."""
    log.setup("text", "info")
    log.info("listening", host="127.0.0.1", port=8080)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(TIME + r" INFO listening host=127\.0\.0\.1 port=8080\n", err)


def test_common_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """What is common to all lines of a process stands first in each, and is gone after the next set-up."""
    log.setup("text", "info", worker=2)
    log.info("listening", port=8080)
    assert capsys.readouterr().err.endswith(" INFO listening worker=2 port=8080\n")
    log.setup("text", "info")
    log.info("listening", port=8080)
    assert capsys.readouterr().err.endswith(" INFO listening port=8080\n")


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ('quo"te', '"quo\\"te"'),
        ("a=b", '"a=b"'),
        ("back\\slash", '"back\\\\slash"'),
        ("x\n2026 ERROR forged", '"x\\n2026 ERROR forged"'),
        ("\r\x1b[31m\x7f\x85\u2028", '"\\r\\u001b[31m\\u007f\\u0085\\u2028"'),
        ("é", '"\\u00e9"'),
        (None, "null"),
        (True, "true"),
        (0.5, "0.5"),
        (Path("/var/lib"), "/var/lib"),
        (b"\n", "\"b'\\\\n'\""),
    ],
)
def test_quoting(capsys: pytest.CaptureFixture[str], value: object, spelled: str) -> None:
    """A value that isn't a plain word is a JSON string: no second line, field or terminal command."""
    log.setup("text", "info")
    log.info("event", field=value)
    err = capsys.readouterr().err
    assert err.endswith(f" INFO event field={spelled}\n")
    assert err.isascii()
    assert len(err.splitlines()) == 1


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the same fields, typed."""
    log.setup("json", "info")
    log.warning("odd", text="x\ny", number=1, nothing=None, path=Path("a"))
    [line] = read_json(capsys.readouterr().err)
    assert re.fullmatch(TIME, str(line.pop("time")))
    assert line == {"level": "warning", "event": "odd", "text": "x\ny", "number": 1, "nothing": None, "path": "a"}


def test_reserved_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A field named like a fixed one doesn't hide it."""
    log.setup("json", "info")
    log.info("real", level="forged", event="forged")
    [line] = read_json(capsys.readouterr().err)
    assert (line["level"], line["event"]) == ("info", "real")


@pytest.mark.parametrize("log_format", log.FORMATS)
def test_exception(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    """A traceback is one field of one line."""
    log.setup(log_format, "info")
    try:
        raise ValueError("a\nb")
    except ValueError:
        log.exception("failed", step=1)
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "Traceback" in err
    assert "ValueError: a\\nb" in err


@pytest.mark.parametrize(
    ("log_level", "expected"),
    [
        ("debug", ["d", "i", "w", "e"]),
        ("info", ["i", "w", "e"]),
        ("warning", ["w", "e"]),
        ("error", ["e"]),
    ],
)
def test_levels(capsys: pytest.CaptureFixture[str], log_level: str, expected: list[str]) -> None:
    """Events below the level aren't logged."""
    log.setup("json", log_level)
    log.debug("d")
    log.info("i")
    log.warning("w")
    log.error("e")
    assert [line["event"] for line in read_json(capsys.readouterr().err)] == expected


@pytest.mark.parametrize("log_format", log.FORMATS)
def test_other_libraries(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    """Other loggers go through the same format, named, and never below warning: they log messages whole."""
    log.setup(log_format, "debug")
    other = logging.getLogger("websockets.server")
    other.debug("< TEXT %s", "secret")
    other.info("connection open")
    other.warning("odd\n%s", "thing")
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    if log_format == "text":
        assert err.endswith(' WARNING "odd\\nthing" logger=websockets.server\n')
    else:
        [line] = read_json(err)
        assert (line["event"], line["logger"]) == ("odd\nthing", "websockets.server")


def test_percent_sign(capsys: pytest.CaptureFixture[str]) -> None:
    """An event's name is no format string."""
    log.setup("text", "info")
    log.info("100%s")
    assert capsys.readouterr().err.endswith(" INFO 100%s\n")


def test_setup_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A second setup replaces the first."""
    log.setup("text", "info")
    log.setup("json", "info")
    log.info("once")
    assert [line["event"] for line in read_json(capsys.readouterr().err)] == ["once"]


def test_hashed() -> None:
    """An agent's name in the log is stable, distinct, short, and not its UAID."""
    uaid = bytes(range(16))
    name = log.hashed(uaid)
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert name == log.hashed(uaid) != log.hashed(bytes(16))
    assert name not in uaid.hex()
