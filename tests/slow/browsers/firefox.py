"""Drive a stock Firefox: start it with a throwaway profile, run scripts in it, end it.

Owns the browser's process, preferences and Marionette connection. Judges nothing: what Firefox did is for tests to say.

Marionette is Firefox's own remote control: `length:json` packets over TCP, one command at a time.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

BINARY = "firefox-esr"
START_SECONDS = 60.0
QUIT_SECONDS = 20.0
SCRIPT_SECONDS = 40.0
POLL_SECONDS = 0.05

# A proxy nobody listens at keeps Firefox from calling home; it never asks a proxy for loopback addresses.
NO_WAY_OUT = {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.newtabpage.enabled": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "startup.homepage_welcome_url": "about:blank",
    "termsofuse.bypassNotification": True,
}

UNDER_CONTROL = {
    "marionette.port": 0,
    # The preferences recommended for automation switch the push connection off.
    "remote.prefs.recommended": False,
    # A machine without a network would count as offline, and an offline Firefox opens no push connection.
    "network.manage-offline-status": False,
}

PUSH = {
    "dom.push.testing.allowInsecureServerURL": True,
    "permissions.default.desktop-notification": 1,
    # Milliseconds; doubled at each failure. The default of 5 s only makes tests slow.
    "dom.push.retryBaseInterval": 200,
    # Gecko holds a WebSocket back for longer and longer after failures, on top of the push service's own delay.
    "network.websocket.delay-failed-reconnects": False,
}


class MarionetteError(Exception):
    """Say that Firefox refused a command or that a script in it threw."""


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Poll a condition until it holds.

    Raises:
        TimeoutError: it never held; the message is `what`.
    """
    end_at = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end_at:
            raise TimeoutError(what)
        time.sleep(POLL_SECONDS)


class Marionette:
    """Send commands to one Firefox and return its answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SCRIPT_SECONDS + 20)
        self._reader = self._socket.makefile("rb")
        self._sent = 0
        self._read_packet()  # the greeting, which answers no command

    def call(self, name: str, params: Mapping[str, object]) -> object:
        """Run one command and return its result.

        Raises:
            MarionetteError: Firefox answered with an error.
        """
        self._sent += 1
        packet = json.dumps([0, self._sent, name, params]).encode()
        self._socket.sendall(b"%d:%b" % (len(packet), packet))
        match self._read_packet():
            case [1, self._sent, None, {"value": value}]:
                return value
            case [1, self._sent, None, result]:
                return result
            case answer:
                raise MarionetteError(f"{name}: {answer!r:.500}")

    def close(self) -> None:
        """Close the connection; Firefox keeps running."""
        self._reader.close()
        self._socket.close()

    def _read_packet(self) -> object:
        digits = b""
        while (byte := self._reader.read(1)) != b":":
            if not byte:
                raise MarionetteError("firefox closed the connection")
            digits += byte
        packet: object = json.loads(self._reader.read(int(digits)))
        return packet


class Firefox:
    """Run one Firefox whose push service is `push_url`, as a context manager."""

    def __init__(self, home: Path, push_url: str) -> None:
        """Prepare a browser.

        Args:
            home: an empty directory that takes the profile and everything else Firefox writes.
            push_url: the `ws://` URL of the push server.
        """
        self._home = home
        self._profile = home / "profile"
        self._port_file = self._profile / "MarionetteActivePort"
        self._push_url = push_url

    def __enter__(self) -> Self:
        self._write_profile()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._marionette.close()
        self._end_process()

    def start(self) -> None:
        """Start the browser on its profile, which keeps what it held when it last quit."""
        self._process = self._start_process()
        try:
            self._marionette = Marionette(self._wait_port())
            self._marionette.call("WebDriver:NewSession", {})
            self._marionette.call("WebDriver:SetTimeouts", {"script": int(SCRIPT_SECONDS * 1000)})
        except BaseException:
            self._end_process()
            raise

    def quit(self) -> None:
        """Quit as a user would, so that the profile is written, and wait for the end."""
        self._marionette.call("Marionette:Quit", {"flags": ["eAttemptQuit"]})
        self._marionette.close()
        self._process.wait(QUIT_SECONDS)

    def open(self, url: str) -> None:
        """Load a page in the only tab."""
        self._marionette.call("WebDriver:Navigate", {"url": url})

    def run(self, script: str, *args: object) -> object:
        """Run a script in the page and return its result; a promise is awaited.

        Args:
            script: the body of a function, which finds `args` in `arguments`.
            args: JSON values.

        Raises:
            MarionetteError: the script threw.
        """
        return self._marionette.call("WebDriver:ExecuteScript", {"script": script, "args": args})

    def connect_push(self) -> None:
        """Let the push service connect."""
        self._set_push_connection("true")

    def disconnect_push(self) -> None:
        """Make the push service close its connection and stay away."""
        self._set_push_connection("false")

    def _set_push_connection(self, wanted: str) -> None:
        self._marionette.call("Marionette:SetContext", {"value": "chrome"})
        self.run(f'Services.prefs.setBoolPref("dom.push.connection.enabled", {wanted})')
        self._marionette.call("Marionette:SetContext", {"value": "content"})

    def _write_profile(self) -> None:
        preferences = {**NO_WAY_OUT, **UNDER_CONTROL, **PUSH, "dom.push.serverURL": self._push_url}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
        self._profile.mkdir(parents=True)
        (self._profile / "user.js").write_text("".join(lines))

    def _start_process(self) -> subprocess.Popen[bytes]:
        binary = shutil.which(BINARY)
        if binary is None:
            raise FileNotFoundError("apt-get install firefox-esr")
        self._port_file.unlink(missing_ok=True)
        # Chrome scripts (the push connection's switch) need the system access.
        flags = ["--headless", "--no-remote", "--marionette", "--remote-allow-system-access"]
        with (self._home / "firefox.log").open("wb") as log:
            return subprocess.Popen(
                [binary, *flags, "--profile", str(self._profile), "about:blank"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _environment(self) -> dict[str, str]:
        # Firefox refuses a HOME or XDG_RUNTIME_DIR of another user, which sudo leaves behind: it gets its own.
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "XDG_RUNTIME_DIR": str(self._home),
            "MOZ_CRASHREPORTER_DISABLE": "1",
        }

    def _wait_port(self) -> int:
        """Wait until Firefox wrote down the port that Marionette listens at."""

        def has_port() -> bool:
            if self._process.poll() is not None:
                raise ChildProcessError((self._home / "firefox.log").read_text()[-2000:])
            return self._port_file.exists() and self._port_file.read_text() != ""

        wait_until(has_port, "firefox did not start", START_SECONDS)
        return int(self._port_file.read_text())

    def _end_process(self) -> None:
        # Its content processes end by themselves once their channel to it breaks.
        self._process.terminate()
        try:
            self._process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
