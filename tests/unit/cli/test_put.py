"""`roskva put`: one word on stdout, or one line on stderr, and an exit code for scripts; many endpoints from a file."""

import io
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from roskva.cli.main import main
from roskva.cli.put import GoneFile
from roskva.client import deliveries
from tests.kit.process import ROSKVA
from tests.kit.terminal import terminal_of
from tests.unit.client.scripted_http import Asked, always, answer, in_turn, scripted_in_a_thread

SECRET = "http://127.0.0.1:1/update/secret"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between tries."""
    monkeypatch.setattr(deliveries, "FIRST_WAIT", 0.001)


def say(status: int) -> bytes:
    """Answer with a reason."""
    return answer(status, b'{"reason": "why"}')


@pytest.mark.parametrize(
    ("status", "code", "out", "err"),
    [
        (200, 0, "delivered\n", ""),
        (202, 0, "stored\n", ""),
        (404, 1, "", "roskva: refused: 404 why\n"),
        (410, 3, "", "roskva: gone: 410 why\n"),
        (503, 4, "", "roskva: unavailable: 503 why\n"),
    ],
)
def test_each_outcome_has_its_words_and_code(
    capsys: pytest.CaptureFixture[str], status: int, code: int, out: str, err: str
) -> None:
    """A script can tell every outcome by its exit code, a person by one line."""
    with scripted_in_a_thread(always(say(status))) as server:
        assert main(["put", server.endpoint, "7"]) == code
    assert tuple(capsys.readouterr()) == (out, err)


def test_nobody_there_is_unavailable(capsys: pytest.CaptureFixture[str]) -> None:
    """No answer has its code too, and the endpoint isn't shown."""
    assert main(["put", SECRET]) == 4
    assert capsys.readouterr().err == "roskva: unavailable: no answer: Connection refused\n"


def test_busy_server_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    """A Retry-After beyond the deadline is passed on."""
    with scripted_in_a_thread(always(answer(503, b'{"reason": "busy"}', Retry_After=170))) as server:
        assert main(["put", server.endpoint]) == 4
    assert capsys.readouterr().err == "roskva: unavailable: 503 busy; try again in 170 s\n"


def test_passing_failures_are_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that was busy for a moment is no failure."""
    with scripted_in_a_thread(in_turn([say(503), answer(200)])) as server:
        assert main(["put", server.endpoint, "0"]) == 0
        assert server.bodies == ["version=0", "version=0"]
    assert tuple(capsys.readouterr()) == ("delivered\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [SECRET, "x"],
        [SECRET, "-1"],
        [SECRET, "1.5"],
        [SECRET, "1" * 20],
        [SECRET, "²"],
        [SECRET, "9" * 19],
        ["ftp://x/secret"],
        ["--from", "endpoints", SECRET, "1"],
        ["--from", "endpoints", SECRET],
        ["--from", "missing"],
        ["--from", "binary"],
        [SECRET, "--gone", "missing/gone"],
    ]
    + [[SECRET, "--timeout", seconds] for seconds in ("0", "-1", "x", "nan", "inf")]
    + [[SECRET, "--deadline", "0"]]
    + [[SECRET, "--concurrency", number] for number in ("0", "-1", "x", "1001", "9" * 30)],
)
def test_wrong_usage_is_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be used is refused before anything is sent; no secret is shown."""
    monkeypatch.chdir(tmp_path)
    Path("endpoints").write_text(SECRET)
    Path("binary").write_bytes(b"\xff")
    try:
        code: object = main(["put", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    err = capsys.readouterr().err
    assert "roskva" in err
    assert "secret" not in err


def by_path(asked: Asked) -> bytes:
    """Answer as the endpoint's name says."""
    return say(int(asked.path.rpartition("/")[2]))


def test_endpoints_come_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each is PUT once; the last line counts, failures are told by their line, and those that are gone are kept."""
    source, gone = tmp_path / "endpoints", tmp_path / "gone"
    with scripted_in_a_thread(by_path) as server:
        names = ("200", "202", "410", "404")
        lines = ["# ours", "", *map(server.endpoint_of, names), server.endpoint_of("200"), "  no endpoint "]
        source.write_text("\n".join(lines))
        assert main(["put", "--from", str(source), "--gone", str(gone), "7"]) == 1
        assert sorted(asked.path for asked in server.asked) == [f"/update/{name}" for name in sorted(names)]
        assert set(server.bodies) == {"version=7"}
        assert gone.read_text() == f"{server.endpoint_of('410')}\n"
        assert main(["put", "--from", str(source), "--gone", str(gone)]) == 1
        assert gone.read_text() == f"{server.endpoint_of('410')}\n" * 2
    assert gone.stat().st_mode & 0o777 == 0o600
    out, err = capsys.readouterr()
    assert out == "delivered 1, stored 1, gone 1, refused 2, unavailable 0\n" * 2
    assert "roskva: line 6: refused: 404 why\n" in err
    assert "roskva: line 8: refused: not a URL: it has spaces" in err
    assert "update" not in err


def test_terminal_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On a terminal one sees how far it is and how long it yet takes; the line is empty in the end."""
    source = tmp_path / "endpoints"
    with scripted_in_a_thread(by_path) as server, terminal_of(80) as terminal:
        monkeypatch.setattr("sys.stderr", terminal.stream)
        source.write_text("\n".join(f"{server.endpoint_of('x')}/{name}" for name in ("200", "202")))
        assert main(["put", "--from", str(source)]) == 0
        assert terminal.screen == [""]
    assert "published 0 of 2 [" in terminal.written
    assert "published 2 of 2 [##" in terminal.written
    assert " a second, 0 s left" in terminal.written
    assert capsys.readouterr().out.startswith("delivered 1, stored 1, ")


def test_nothing_is_said_without_a_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A run that a timer starts writes nothing to stderr while all goes well."""
    source = tmp_path / "endpoints"
    with scripted_in_a_thread(by_path) as server:
        source.write_text(server.endpoint_of("200"))
        assert main(["put", "--from", str(source)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "."], "can't read the endpoints from '.': Is a directory"),
        (["--from", "missing"], "can't read the endpoints from 'missing': No such file or directory"),
        (["--from", "binary"], "can't read the endpoints from 'binary': it is no UTF-8 text"),
        (["--from", SECRET], "can't read the endpoints: No such file or directory"),
        ([SECRET, "--gone", "."], "can't write the endpoints that are gone to '.': Is a directory"),
        ([SECRET, "--gone", SECRET], "can't write the endpoints that are gone: No such file or directory"),
    ],
)
def test_file_that_cannot_be_used_is_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line says which file, unless it is an endpoint in a file's place."""
    monkeypatch.chdir(tmp_path)
    Path("binary").write_bytes(b"\xff")
    assert main(["put", *arguments]) == 2
    assert capsys.readouterr().err == f"roskva: {said}\n"


def test_binary_standard_input_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """So is standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    assert main(["put", "--from", "-"]) == 2
    assert capsys.readouterr().err == "roskva: can't read the endpoints from standard input: it is no UTF-8 text\n"


def test_full_disk_is_not_a_refusal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is gone can't be kept: the others are PUT all the same, and the code says that a file is to blame."""
    source = tmp_path / "endpoints"
    full = "roskva: can't write the endpoints that are gone to '/dev/full': No space left on device\n"
    with scripted_in_a_thread(by_path) as server:
        source.write_text(
            "\n".join(f"{server.endpoint_of(n)}/{status}" for n, status in enumerate((410, 410, 200, 503)))
        )
        arguments = ["--deadline", "0.1", "--concurrency", "1", "--gone", "/dev/full"]
        assert main(["put", "--from", str(source), *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == "delivered 1, stored 0, gone 2, refused 0, unavailable 1\n"
        assert err.count(full) == 1
        assert main(["put", server.endpoint_of("410"), "--gone", "/dev/full"]) == 2
        assert capsys.readouterr().err == f"roskva: gone: 410 why\n{full}"


def test_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """Another run appends to the file: a line that didn't fit is taken back."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with GoneFile(tmp_path / "gone") as gone:
        gone.note("one")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (6, limits[1]))
            gone.note("two")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not gone.is_whole
        gone.note("three")
    assert (tmp_path / "gone").read_text() == "one\n"


def test_ctrl_c_ends_a_read(tmp_path: Path) -> None:
    """The list may come from a pipe or a terminal that says nothing for long."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Not ignored, as it is in what a shell's background starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*ROSKVA, "put", "--from", str(pipe), "7"])
    signal.signal(signal.SIGINT, before)
    with pipe.open("wb"):  # waits until it reads
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ("", 0),
        ("200 202", 0),
        ("200 410", 3),
        ("410 404 200", 1),
        ("410 404 503", 4),
    ],
)
def test_worst_outcome_is_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: str, code: int
) -> None:
    """Of many endpoints, from standard input, the code tells whether to repeat, to look, or to forget some."""
    with scripted_in_a_thread(by_path) as server:
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(server.endpoint_of, names.split()))))
        assert main(["put", "--from", "-", "--concurrency", "2"]) == code
        assert server.most_open <= 2
    assert capsys.readouterr().out.startswith("delivered ")


def test_many_failures_are_cut(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Ten are told, the others counted."""
    source = tmp_path / "endpoints"
    with scripted_in_a_thread(always(say(404))) as server:
        source.write_text("\n".join(server.endpoint_of(number) for number in range(25)))
        assert main(["put", "--from", str(source)]) == 1
    err = capsys.readouterr().err
    assert err.count(": refused: 404 why\n") == 10
    assert "roskva: and 15 more that were refused or unavailable\n" in err
