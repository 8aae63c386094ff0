"""examples/web_app.py on real servers."""

import re
import subprocess
import sys
from pathlib import Path

from tests.kit.lines import lines_of
from tests.kit.process import serving


def curl(*arguments: str) -> str:
    """Ask the app."""
    return subprocess.check_output(["curl", "-s", "--max-time", "20", *arguments], text=True)


def test_agents_hear_of_each_save(tmp_path: Path) -> None:
    """A save reaches every agent that left its endpoint; one that is gone is forgotten; strangers are refused."""
    listen = [sys.executable, "-m", "roskva", "listen", "--state", str(tmp_path / "state.json"), "--channel", "note"]
    with serving(tmp_path / "data") as server:
        push_url = server.url.replace("ws:", "http:")
        with (
            lines_of([*listen, server.url]) as agent,
            lines_of([sys.executable, "examples/web_app.py", push_url, "0"]) as app,
        ):
            url = re.search(r"http://\S+", app.wait_for("running on"))
            assert url is not None
            note, endpoints = f"{url[0]}/note", f"{url[0]}/endpoints"
            endpoint = agent.wait_for("endpoint note").split()[-1]
            curl("--data-binary", endpoint, endpoints)

            for text in ("first", "second"):
                curl("-X", "PUT", "--data-binary", text, note)
                agent.wait_for("update note")
                app.wait_for("delivered")
                assert curl(note) == text

            assert "not an endpoint" in curl("--data-binary", "http://127.0.0.1:1/update/x", endpoints)
            subprocess.run(
                [sys.executable, "-m", "roskva", "new-epoch", "--yes", "--data-dir", str(server.data_dir)], check=True
            )
            curl("-X", "PUT", "--data-binary", "third", note)
            app.wait_for("gone")
            assert curl(endpoints) == "0"
