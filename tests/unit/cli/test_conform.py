"""`roskva conform`: which cases it chooses, which URLs it takes, and what becomes of its reports."""

import os
from pathlib import Path

import pytest

from roskva.cli.main import main
from roskva.conformance.cases import load_cases
from tests.kit.process import serving

NOBODY = "ws://127.0.0.1:1/"
SLOW = next(case for case in load_cases() if case.slow)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Run what can't be used, and return the lines of the error."""
    assert main(["conform", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return [line.removeprefix("roskva: ") for line in err.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "hello.3-typo", "--only", "module.*"), ["no such case: --only hello.3-typo"]),
        (
            ("--only", "a", "--only", "module.*", "--only", "b?"),
            ["no such case: --only a", "no such case: --only b?"],
        ),
        (("--section", "99", "--section", "4"), ["no such case: --section 99"]),
        (("--section", "4", "--only", "module.*"), ["no such case: --section 4", "no such case: --only module.*"]),
        (
            ("--section", "4", "--only", "register.*", "--only", "module.*"),
            ["no such case: --only module.*"],
        ),
        (
            ("--only", f"{SLOW.id[:-1]}?", "--only", "module.*"),
            [f"no such case: --only {SLOW.id[:-1]}? without --slow"],
        ),
        (("--slow-only", "--only", "module.*"), ["no such case: --only module.* with --slow-only"]),
    ],
)
def test_choice_without_a_case_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: list[str]
) -> None:
    """A misspelled choice beside a good one would be an examination that nobody made."""
    hint = "; roskva conform --list shows them"
    assert told(capsys, NOBODY, *arguments) == [line + hint for line in said]


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the ids of a list."""
    assert main(["conform", "--list", *arguments]) == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_list_keeps_to_the_choice(capsys: pytest.CaptureFixture[str]) -> None:
    """A list has every case, and with a choice those that would run."""
    cases = load_cases()
    assert listed(capsys) == listed(capsys, "--slow") == [case.id for case in cases]
    assert listed(capsys, "--slow-only") == [case.id for case in cases if case.slow]
    assert listed(capsys, "--slow-only", "--section", "8") == [c.id for c in cases if c.slow and c.is_of("8")]


@pytest.mark.parametrize("url", ["ws://h:99999/", "ws://h:x/", "ws://[::1/", "ws://[x]/", "http://h/", "ws://"])
def test_url_that_cannot_be_used_is_quoted(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """Of several URLs one sees which is wrong."""
    (line,) = told(capsys, NOBODY, url)
    assert line.count(repr(url)) == 1
    (line,) = told(capsys, NOBODY, "--http", url.replace("ws:", "http:") if url[0] == "w" else "ws://h/")
    assert "'" in line


def test_port_0_is_not_the_default_port(capsys: pytest.CaptureFixture[str]) -> None:
    """The port that is written counts, even where nobody can be."""
    (*_, line) = told(capsys, "ws://127.0.0.1:0/")
    assert "can't connect to 127.0.0.1 port 0" in line


def test_refused_report_leaves_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """If one can't be written, the other isn't begun, and an earlier one stays."""
    earlier, missing = tmp_path / "report.json", tmp_path / "nowhere" / "junit.xml"
    earlier.write_text("earlier")
    (line,) = told(capsys, NOBODY, "--json", str(earlier), "--junit", str(missing))
    assert line == f"can't write {missing}: No such file or directory"
    (line,) = told(capsys, NOBODY, "--json", str(tmp_path))
    assert line == f"can't write {tmp_path}: Is a directory"
    assert earlier.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["report.json"]


def test_examination_that_fails_leaves_no_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nobody takes an earlier report for this one's, nor an empty file for any."""
    (tmp_path / "report.json").write_text("earlier")
    told(capsys, NOBODY, "--json", str(tmp_path / "report.json"), "--junit", str(tmp_path / "junit.xml"))
    assert os.listdir(tmp_path) == []


def test_reports_are_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A report is there when it is complete; what is no plain file, as a pipe, is written to; a full disk is code 2."""
    plain, link = tmp_path / "report.json", tmp_path / "link.xml"
    link.symlink_to(tmp_path / "real.xml")
    with serving(tmp_path / "data") as server:
        chosen = ["conform", server.url, "--only", "module.*"]
        assert main([*chosen, "--json", str(plain), "--junit", str(link)]) == 0
        assert plain.read_text().startswith("{")
        assert link.is_symlink()
        assert (tmp_path / "real.xml").read_text().startswith("<")
        assert not list(tmp_path.glob(".*"))
        capsys.readouterr()
        junit = tmp_path / "junit.xml"
        assert main([*chosen, "--json", "/dev/full", "--junit", str(junit)]) == 2
        assert capsys.readouterr().err.splitlines()[-1] == "roskva: can't write /dev/full: No space left on device"
        assert junit.read_text().startswith("<")
