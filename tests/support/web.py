"""A small web server on this machine that can be set to misbehave."""

import hashlib
import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from vidrestore.weights.manifest import WeightsEntry

_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How to answer one request; the defaults are those of a well-behaved server."""

    status: int | None = None
    """Answer with this and no file."""
    location: str | None = None
    """Redirect to this path."""
    cut_after_bytes: int | None = None
    """Close the connection after so many bytes of the body."""
    honors_range: bool = True
    shift_range_bytes: int = 0
    """Answer with a range that starts so much later than the one asked for."""
    content_type: str = "application/octet-stream"
    says_length: bool = True
    etag: str | None = '"first"'


@dataclass(slots=True)
class Site:
    """What the server serves and what it was asked."""

    body: bytes
    url: str = ""
    replies: list[Reply] = field(default_factory=list[Reply])
    """One for each request to come; when used up, requests are answered well."""
    requests: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Headers of every request so far."""

    @property
    def ranges(self) -> list[str | None]:
        """The range that each request asked for."""
        return [headers.get("Range") for headers in self.requests]


@contextmanager
def serving(body: bytes) -> Generator[Site]:
    """Serve ``body`` at ``site.url`` until the block ends."""
    site = Site(body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append(dict(self.headers))
            _answer(self, site, site.replies.pop(0) if site.replies else Reply())

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}/file.pth"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, site: Site, reply: Reply) -> None:
    if reply.location is not None:
        handler.send_response(302)
        handler.send_header("Location", reply.location)
        handler.end_headers()
        return
    if reply.status is not None:
        handler.send_error(reply.status)
        return
    requested = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if handler.headers.get("If-Range") not in (None, reply.etag):
        requested = None
    start = int(requested[1]) + reply.shift_range_bytes if requested and reply.honors_range else 0
    if start >= len(site.body):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(site.body)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    body = site.body[start:]
    handler.send_response(206 if requested and reply.honors_range else 200)
    if requested and reply.honors_range:
        last = len(site.body) - 1
        handler.send_header("Content-Range", f"bytes {start}-{last}/{len(site.body)}")
    handler.send_header("Content-Type", reply.content_type)
    if reply.says_length:
        handler.send_header("Content-Length", str(len(body)))
    if reply.etag is not None:
        handler.send_header("ETag", reply.etag)
    handler.end_headers()
    with suppress(ConnectionError):  # a client may refuse what it is offered
        handler.wfile.write(body[: reply.cut_after_bytes])


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def weights_entry(served: Site, **changes: object) -> WeightsEntry:
    """Return the entry of a checkpoint that the server serves."""
    entry = WeightsEntry(
        name="net",
        file_name="net.pth",
        url=served.url,
        size_bytes=len(served.body),
        sha256=hashlib.sha256(served.body).hexdigest(),
        licensor="the Tests",
        license="MIT",
        non_commercial=False,
        purpose="a test",
    )
    return replace(entry, **changes)  # type: ignore[arg-type]
