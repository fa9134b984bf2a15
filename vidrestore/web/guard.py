"""What every request passes first: who asks, from where, how much is sent; and what may be loaded.

An ASGI application around that of the page. https://asgi.readthedocs.io
"""

import asyncio
import base64
import binascii
import hmac
import shutil
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names and addresses of this machine."""
_MAX_BODY_BYTES = 4 << 20
"""Of a request that is no upload."""
_FORM_BYTES = 1 << 20
"""What an upload has beside the file."""
_SPARE_BYTES = 1 << 30
"""Left free on the disk by an upload."""
_WRONG_PASSWORD_SECONDS = 1.0
# Gradio's page has its scripts and styles in itself; all else comes from this server alone.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self' data:; connect-src 'self'; frame-ancestors 'self'; base-uri 'self'; "
    "form-action 'self'; object-src 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}
# Routes of Gradio by which it serves files and other sites; this page uses none of them.
_CLOSED_ROUTES = ("/file=", "/file/", "/proxy=", "/monitoring", "/stream/", "/deep_link")


class Guard:
    """Refuses requests that are not for this page, too large, or without the password."""

    def __init__(
        self,
        application: Application,
        *,
        password: str | None,
        max_upload_bytes: int,
        upload_folder: Path,
    ) -> None:
        """Wrap an application.

        Args:
            application: The page.
            password: None for a page that only this machine can reach.
            max_upload_bytes: Size of the largest file that is taken.
            upload_folder: Where uploads are stored: its disk must have room.
        """
        self._application = application
        self._password = password
        self._max_upload_bytes = max_upload_bytes
        self._upload_folder = upload_folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if self._password is not None and not self._has_password(headers):
            if b"authorization" in headers:
                await asyncio.sleep(_WRONG_PASSWORD_SECONDS)
            await _refuse(send, 401, "the password is needed", _ASK_PASSWORD)
            return
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        await self._application(scope, receive, _with_headers(send))

    def _has_password(self, headers: MutableMapping[bytes, str]) -> bool:
        kind, _, encoded = headers.get(b"authorization", "").partition(" ")
        try:
            _, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        expected = (self._password or "").encode()
        return kind.lower() == "basic" and hmac.compare_digest(password, expected)

    def _refusal(self, scope: Scope, headers: MutableMapping[bytes, str]) -> tuple[int, str] | None:
        """Return the status and the reason of a refusal; None lets a request pass."""
        host = headers.get(b"host", "")
        if self._password is None and _hostname(f"//{host}") not in LOCAL_HOSTS:
            # A foreign page can lead its name to this machine, but not change what it is called.
            return 421, f"this page is at localhost only, not at {host!r}"
        path = scope["path"]
        if any(route in path for route in _CLOSED_ROUTES):
            return 404, "not found"
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return None
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "requests from other pages are refused"
        return self._size_refusal(path, headers.get(b"content-length"))

    def _size_refusal(self, path: str, length: str | None) -> tuple[int, str] | None:
        if length is None or not length.isascii() or not length.isdigit():
            return 411, "the length of a request must be stated"
        if not path.endswith("/upload"):
            return (413, "too large") if int(length) > _MAX_BODY_BYTES else None
        if int(length) > self._max_upload_bytes + _FORM_BYTES:
            return 413, f"larger than {self._max_upload_bytes / 1e9:g} GB; name its folder instead"
        if int(length) > shutil.disk_usage(self._upload_folder).free - _SPARE_BYTES:
            return 507, "there is no room for it on the disk"
        return None


_ASK_PASSWORD = ((b"www-authenticate", b'Basic realm="vidrestore", charset="UTF-8"'),)


def _hostname(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            names = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in _HEADERS.items() if name not in names]
            message["headers"] = headers
        await send(message)

    return send_with_headers


async def _refuse(
    send: Send, status: int, reason: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    text = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [text, *headers]})
    await send({"type": "http.response.body", "body": reason.encode()})
