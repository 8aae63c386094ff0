"""deploy/README.md."""

import re

from tests.kit.deploy import DEPLOY

PAGE = (DEPLOY / "README.md").read_text(encoding="utf-8")


def test_every_file_is_in_the_table() -> None:
    """Each has a line that says what it is and how it was checked."""
    listed = set(re.findall(r"^\| `([\w.]+)/?` \|", PAGE, re.MULTILINE))
    assert listed == {path.name for path in DEPLOY.iterdir() if path.name not in ("README.md", "certs")}
