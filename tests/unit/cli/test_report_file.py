"""Where reports go that can't be replaced."""

import errno
from pathlib import Path

import pytest

from roskva.cli import report_file


def test_a_file_that_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is mounted by itself can be neither removed nor replaced: it is emptied, and written in place."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    path = tmp_path / "report.json"
    path.write_text("earlier")
    unlink = Path.unlink
    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(Path, "unlink", lambda one, **how: refuse() if one == path else unlink(one, **how))
    report_file.clear([path])
    assert path.read_text() == ""
    report_file.write(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
