"""A web app (Starlette) whose clients hear of each save: they come for the content when there is something new.

    pip install roskva starlette uvicorn
    python examples/web_app.py [http://127.0.0.1:8080/ [PORT]]

The URL is the push server's, as its endpoints spell it. A client registers a channel there, and POSTs its endpoint:

    curl --data-binary http://127.0.0.1:8080/update/… http://127.0.0.1:8000/endpoints
    curl -X PUT --data-binary 'the newest text' http://127.0.0.1:8000/note
"""

import contextlib
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from roskva import Publisher


class App:
    """One note, and the endpoints of those who want to hear of it; a real one keeps both in its database."""

    def __init__(self, push_url: str) -> None:
        self._push_server = urlsplit(push_url)[:2]
        self._note = ""
        self._endpoints: set[str] = set()
        # An endpoint that is gone is forgotten by itself.
        self._publisher = Publisher(on_gone=self._endpoints.discard)
        self.starlette: Starlette = Starlette(
            routes=[
                Route("/note", self.read, methods=["GET"]),
                Route("/note", self.save, methods=["PUT"]),
                Route("/endpoints", self.count, methods=["GET"]),
                Route("/endpoints", self.enlist, methods=["POST"]),
            ],
            lifespan=self._live,
        )

    async def read(self, _: Request) -> Response:
        """Give the note."""
        return PlainTextResponse(self._note)

    async def save(self, request: Request) -> Response:
        """Keep the note, answer, and then tell everyone."""
        self._note = (await request.body()).decode()
        return Response(status_code=204, background=BackgroundTask(self._publish))

    async def enlist(self, request: Request) -> Response:
        """Keep an endpoint, if it is of our push server: this app must not PUT wherever a stranger likes."""
        endpoint = (await request.body()).decode().strip()
        if urlsplit(endpoint)[:2] != self._push_server:
            return PlainTextResponse("not an endpoint of our push server\n", status_code=400)
        self._endpoints.add(endpoint)
        return Response(status_code=204)

    async def count(self, _: Request) -> Response:
        """Tell how many endpoints there are."""
        return PlainTextResponse(str(len(self._endpoints)))

    async def _publish(self) -> None:
        # Without a version the push server chooses one above the last. A copy, as gone ones leave the set meanwhile.
        async for _, result in self._publisher.put_many(list(self._endpoints)):
            print(result.outcome.value, flush=True)

    @contextlib.asynccontextmanager
    async def _live(self, _: Starlette) -> AsyncIterator[None]:
        async with self._publisher:
            yield


if __name__ == "__main__":
    push_url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    uvicorn.run(App(push_url).starlette, port=port)
