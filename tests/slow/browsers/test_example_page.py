"""The example page in a real browser."""

import subprocess
from pathlib import Path
from urllib.parse import quote

from tests.kit.process import serving
from tests.slow.browsers.firefox import Firefox, wait_until

PAGE = Path("examples/browser.html").resolve().as_uri()

TEXT = "return document.getElementById(arguments[0]).textContent"


def test_the_example_page_shows_an_update(tmp_path: Path) -> None:
    """examples/browser.html connects, prints a curl command that works, and shows the version that it published."""
    with serving(tmp_path / "data") as server, Firefox(tmp_path, server.url) as firefox:
        firefox.open(f"{PAGE}?server={quote(server.url)}")
        wait_until(lambda: firefox.run(TEXT, "state") == "connected", "the page did not connect")
        wait_until(lambda: "/update/" in str(firefox.run(TEXT, "curl")), "the page got no endpoint")
        command = str(firefox.run(TEXT, "curl")).split()
        subprocess.run([*command, "-d", "version=7"], check=True, capture_output=True)
        wait_until(lambda: firefox.run(TEXT, "version") == "7", "the page got no update")
