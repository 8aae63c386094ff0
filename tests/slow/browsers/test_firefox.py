"""Show that a stock Firefox is an agent of this server: the real browser, the real process, loopback only.

Sections are those of `docs/protocol.md`.
"""

import http.client
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.kit.ports import free_port
from tests.slow.browsers.firefox import Firefox, wait_until

PAGE = "<!doctype html><meta charset=utf-8><title>subscriber</title>"

# The worker reports each event to the page's server, with the payload's text or null.
WORKER = """
function report(kind, data) {
  const scope = new URL(registration.scope).pathname;
  return fetch("/events", {method: "POST", body: JSON.stringify([kind, scope, data])});
}
addEventListener("push", event => event.waitUntil(report("push", event.data && event.data.text())));
addEventListener("pushsubscriptionchange", event => event.waitUntil(report("pushsubscriptionchange", null)));
"""

SUBSCRIBE = """
return (async scope => {
  const registration = await navigator.serviceWorker.register("/worker.js", {scope});
  const worker = registration.installing || registration.waiting || registration.active;
  await new Promise(done => {
    const check = () => worker.state == "activated" && done();
    worker.onstatechange = check;
    check();
  });
  return (await registration.pushManager.subscribe()).endpoint;
})(arguments[0]);
"""

CURRENT_ENDPOINT = """
return (async scope => {
  const registration = await navigator.serviceWorker.getRegistration(scope);
  const subscription = await registration.pushManager.getSubscription();
  return subscription && subscription.endpoint;
})(arguments[0]);
"""

UNSUBSCRIBE = """
return (async scope => {
  const registration = await navigator.serviceWorker.getRegistration(scope);
  return (await registration.pushManager.getSubscription()).unsubscribe();
})(arguments[0]);
"""


class _PageHandler(BaseHTTPRequestHandler):
    server: "Page"

    def do_GET(self) -> None:
        is_worker = self.path == "/worker.js"
        self._answer("text/javascript" if is_worker else "text/html", WORKER if is_worker else PAGE)

    def do_POST(self) -> None:
        event: object = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.events.append(event)
        self._answer("text/plain", "")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _answer(self, content_type: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class Page(ThreadingHTTPServer):
    """Serve the subscribing page and keep the events that its service workers report."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PageHandler)
        self.events: list[object] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def wait_event(self, kind: str, scope: str, data: str | None = None) -> None:
        """Wait until a worker reported this event, and take it out of the list."""
        event = [kind, scope, data]
        wait_until(lambda: event in self.events, f"no {kind} for {scope}")
        self.events.remove(event)


class Server:
    """Run the server as a process that can be restarted on the same port and data."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._port, self._admin_port = free_port(), free_port()
        self.push_url = f"ws://127.0.0.1:{self._port}/"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        ports = ["--port", str(self._port), "--admin-port", str(self._admin_port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "roskva", "serve", "--host", "127.0.0.1", *ports, "--data-dir", str(self._data_dir)]
        )
        wait_until(self._is_ready, "the server is not ready")

    def stop(self) -> None:
        """End the process.

        Raises:
            subprocess.TimeoutExpired: it had to be killed.
        """
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """End the process and start another on the same data."""
        self.stop()
        self.start()

    def lose_everything(self) -> None:
        """End the process and start another without its data."""
        self.stop()
        shutil.rmtree(self._data_dir)
        self.start()

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise ChildProcessError("the server ended")
        try:
            return request("GET", f"http://127.0.0.1:{self._admin_port}/readyz") == 200
        except OSError:
            return False


def request(method: str, url: str, body: str = "") -> int:
    """Send one HTTP request and return its status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, parts.path, body)
        return connection.getresponse().status
    finally:
        connection.close()


def put(endpoint: str, version: int) -> int:
    """Publish a version and return the HTTP status."""
    return request("PUT", endpoint, f"version={version}")


def subscribe(firefox: Firefox, scope: str) -> str:
    """Subscribe a service worker of this scope and return its endpoint."""
    endpoint = firefox.run(SUBSCRIBE, scope)
    assert isinstance(endpoint, str)
    return endpoint


def wait_stored(endpoint: str, first_version: int) -> int:
    """Publish rising versions until one is stored for later (§7); return it."""
    version = first_version

    def is_stored() -> bool:
        nonlocal version
        version += 1
        return put(endpoint, version) == 202

    wait_until(is_stored, "the server still takes the browser for connected")
    return version


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a server of this test's own."""
    with Server(tmp_path / "data") as running:
        yield running


@pytest.fixture
def page() -> Iterator[Page]:
    """Serve the subscribing page."""
    with Page() as running:
        yield running


@pytest.fixture
def firefox(tmp_path: Path, server: Server, page: Page) -> Iterator[Firefox]:
    """Run a Firefox that opened the page and whose push service is the server."""
    with Firefox(tmp_path / "home", server.push_url) as browser:
        browser.open(page.url)
        yield browser


def test_put_fires_push_event(firefox: Firefox, page: Page) -> None:
    """Each higher version put to a subscription's endpoint fires one push event without data (§3.7, §7, §8.1)."""
    endpoint = subscribe(firefox, "/news/")
    for version in (1, 2, 2**53 - 1):
        assert put(endpoint, version) == 200
        page.wait_event("push", "/news/")
    assert page.events == []


def test_lower_version_fires_nothing(firefox: Firefox, page: Page) -> None:
    """A version that isn't higher than the last one fires no push event, and the next higher one does (§7)."""
    endpoint = subscribe(firefox, "/news/")
    assert put(endpoint, 7) == 200
    page.wait_event("push", "/news/")
    assert all(put(endpoint, version) in (200, 202) for version in (7, 6, 8))
    page.wait_event("push", "/news/")
    assert page.events == []


def test_pending_versions_survive_restart(firefox: Firefox, server: Server, page: Page) -> None:
    """What was put to two channels while Firefox was away fires for both after a restart of the server (§3.1, §7.1)."""
    endpoints = {scope: subscribe(firefox, scope) for scope in ("/news/", "/mail/")}
    firefox.disconnect_push()
    for endpoint in endpoints.values():
        wait_stored(endpoint, 0)
    server.restart()
    firefox.connect_push()
    for scope in endpoints:
        page.wait_event("push", scope)
    assert page.events == []


def test_pending_version_survives_browser_restart(firefox: Firefox, server: Server, page: Page) -> None:
    """What was put while Firefox was not running fires once it runs again, with no page open (§3.2, §8.2)."""
    endpoint = subscribe(firefox, "/news/")
    firefox.quit()
    wait_stored(endpoint, 0)
    firefox.start()
    page.wait_event("push", "/news/")
    assert page.events == []


def test_reconnects_after_restart(firefox: Firefox, server: Server, page: Page) -> None:
    """After a restart Firefox reconnects by itself, keeps its subscriptions and gets what is put (§3.2)."""
    endpoint = subscribe(firefox, "/news/")
    server.restart()
    assert put(endpoint, 1) in (200, 202)
    page.wait_event("push", "/news/")
    assert firefox.run(CURRENT_ENDPOINT, "/news/") == endpoint
    assert page.events == []


def test_new_uaid_makes_firefox_subscribe_again(firefox: Firefox, server: Server, page: Page) -> None:
    """The new UAID of a server that lost its data makes Firefox drop the subscription and tell the worker (§3.2)."""
    lost = subscribe(firefox, "/news/")
    server.lose_everything()
    page.wait_event("pushsubscriptionchange", "/news/")
    assert firefox.run(CURRENT_ENDPOINT, "/news/") is None
    endpoint = subscribe(firefox, "/news/")
    assert endpoint != lost
    assert put(endpoint, 1) == 200
    page.wait_event("push", "/news/")


def test_unsubscribed_endpoint_is_gone(firefox: Firefox, page: Page) -> None:
    """After unsubscribe() the endpoint answers 410, and a new subscription has another endpoint (§5.3)."""
    endpoint = subscribe(firefox, "/news/")
    assert firefox.run(UNSUBSCRIBE, "/news/") is True
    assert put(endpoint, 1) == 410
    assert subscribe(firefox, "/news/") != endpoint
    assert page.events == []
