"""`roskva put`: one word on stdout, or one line on stderr, and an exit code for scripts."""

import pytest

from roskva.cli import put as command
from roskva.cli.main import main
from roskva.client.publisher import Outcome, Result

ENDPOINT = "http://127.0.0.1:8080/update/secret"


class FakePut:
    """Gives one result, and keeps what it was asked."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self.asked: list[tuple[str, int | None, float]] = []

    def __call__(self, endpoint: str, version: int | None = None, *, timeout: float = 0.0) -> Result:
        """Answer."""
        self.asked.append((endpoint, version, timeout))
        return self._result


def replace(monkeypatch: pytest.MonkeyPatch, outcome: Outcome, status: int, *rest: object) -> FakePut:
    """Put a result in the network's place."""
    fake = FakePut(Result(outcome, status, *rest))  # type: ignore[arg-type]
    monkeypatch.setattr(command, "put", fake)
    return fake


@pytest.mark.parametrize(
    ("outcome", "status", "code", "out", "err"),
    [
        (Outcome.DELIVERED, 200, 0, "delivered\n", ""),
        (Outcome.STORED, 202, 0, "stored\n", ""),
        (Outcome.REFUSED, 404, 1, "", "roskva: refused: 404 why\n"),
        (Outcome.GONE, 410, 3, "", "roskva: gone: 410 why\n"),
        (Outcome.UNAVAILABLE, 0, 4, "", "roskva: unavailable: why\n"),
    ],
)
def test_each_outcome_has_its_words_and_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Outcome,
    status: int,
    code: int,
    out: str,
    err: str,
) -> None:
    """A script can tell every outcome by its exit code, a person by one line."""
    replace(monkeypatch, outcome, status, "why" if code else "")
    assert main(["put", ENDPOINT, "7"]) == code
    assert tuple(capsys.readouterr()) == (out, err)


def test_busy_server_says_when(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A Retry-After is passed on."""
    replace(monkeypatch, Outcome.UNAVAILABLE, 503, "busy", 16.6)
    assert main(["put", ENDPOINT]) == 4
    assert capsys.readouterr().err == "roskva: unavailable: 503 busy; try again in 17 s\n"


def test_arguments_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is optional, and the timeout can be chosen."""
    fake = replace(monkeypatch, Outcome.DELIVERED, 200)
    main(["put", ENDPOINT])
    main(["put", ENDPOINT, "0", "--timeout", "2.5"])
    assert fake.asked == [(ENDPOINT, None, 10.0), (ENDPOINT, 0, 2.5)]


@pytest.mark.parametrize(
    "arguments",
    [[], [ENDPOINT, "x"], [ENDPOINT, "-1"], [ENDPOINT, "1.5"], [ENDPOINT, "1" * 20], [ENDPOINT, "²"]]
    + [[ENDPOINT, "--timeout", seconds] for seconds in ("0", "-1", "x", "nan", "inf")],
)
def test_wrong_usage_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be used is refused before anything is sent."""
    with pytest.raises(SystemExit) as caught:
        main(["put", *arguments])
    assert caught.value.code == 2
    assert "secret" not in capsys.readouterr().err


def test_bad_endpoint_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """So is a URL that is no endpoint; it is not printed, for it may be a secret."""
    assert main(["put", "ftp://x/secret"]) == 2
    assert capsys.readouterr().err == "roskva: not an http:// or https:// URL\n"
