import asyncio
import base64
from pathlib import Path

import pytest

from vidrestore.web.guard import Guard, Message, Receive, Scope, Send

MAX_BYTES = 10_000_000


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    own = [(b"Content-Type", b"text/html"), (b"Referrer-Policy", b"origin")]
    await send({"type": "http.response.start", "status": 200, "headers": own})
    await send({"type": "http.response.body", "body": b"page"})


def ask(
    folder: Path,
    path: str = "/",
    *,
    method: str = "GET",
    password: str | None = None,
    kind: str = "http",
    **headers: str,
) -> tuple[int, dict[str, str], str]:
    """Return status, headers and text of the answer to a request."""
    named = {"host": "127.0.0.1:7860", **{key.replace("_", "-"): headers[key] for key in headers}}
    scope: Scope = {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    guard = Guard(page, password=password, max_upload_bytes=MAX_BYTES, upload_folder=folder)
    asyncio.run(guard(scope, receive, send))
    if kind == "websocket":
        return 0, {}, str(sent)
    start, body = sent
    answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], answered, body["body"].decode()


def basic(password: str, name: str = "anyone") -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_pages_may_not_load_from_other_servers(tmp_path: Path) -> None:
    status, headers, text = ask(tmp_path)

    assert (status, text) == (200, "page")
    assert "http" not in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "origin"  # what the page says comes first


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "127.0.0.1", "[::1]:7860"])
def test_local_host_names_are_accepted(tmp_path: Path, host: str) -> None:
    assert ask(tmp_path, host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"])
def test_other_host_names_are_refused(tmp_path: Path, host: str) -> None:
    assert ask(tmp_path, host=host)[0] == 421


def test_a_password_is_required_and_allows_any_host_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidrestore.web.guard._WRONG_PASSWORD_SECONDS", 0)
    host = "studio.local:7860"

    right = basic("pass: wörd")
    assert ask(tmp_path, password="pass: wörd", host=host, authorization=right)[0] == 200
    for wrong in (basic("x"), basic(""), "Basic !", "Basic", "Bearer pass: wörd", "Digest x"):
        status, headers, _ = ask(
            tmp_path, password="pass: wörd", host=host, authorization=wrong.encode("utf-8").decode()
        )
        assert status == 401
        assert headers["www-authenticate"].startswith("Basic")
    assert ask(tmp_path, "/jobs/x/view", password="p", host=host)[0] == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:80"])
def test_requests_of_other_origins_are_refused(tmp_path: Path, origin: str) -> None:
    assert ask(tmp_path, method="POST", content_length="1", origin=origin)[0] == 403


def test_requests_of_the_same_origin_are_accepted(tmp_path: Path) -> None:
    own = "http://127.0.0.1:7860"

    assert ask(tmp_path, method="POST", content_length="1", origin=own)[0] == 200


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/gradio_api/upload", MAX_BYTES, 200),
        ("/gradio_api/upload", MAX_BYTES + (2 << 20), 413),
        ("/gradio_api/queue/join", 1000, 200),
        ("/gradio_api/queue/join", MAX_BYTES, 413),
        ("/gradio_api/upload", 10**18, 413),
    ],
)
def test_request_sizes_are_limited(tmp_path: Path, path: str, length: int, status: int) -> None:
    assert ask(tmp_path, path, method="POST", content_length=str(length))[0] == status


@pytest.mark.parametrize("length", ["-1", "x", "", "1e3", "٣"])
def test_requests_without_a_length_are_refused(tmp_path: Path, length: str) -> None:
    assert ask(tmp_path, "/gradio_api/upload", method="POST", content_length=length)[0] == 411
    assert ask(tmp_path, "/gradio_api/upload", method="POST")[0] == 411


def test_an_upload_needs_free_disk_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 1 << 30

    monkeypatch.setattr("shutil.disk_usage", lambda _path: Full)

    assert ask(tmp_path, "/gradio_api/upload", method="POST", content_length="1000")[0] == 507


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=/etc/passwd", "/file=x", "/proxy=http://x", "/gradio_api/file/x"]
)
def test_routes_that_would_serve_other_files_are_refused(tmp_path: Path, path: str) -> None:
    assert ask(tmp_path, path)[0] == 404


def test_web_sockets_are_refused(tmp_path: Path) -> None:
    assert "websocket.close" in ask(tmp_path, kind="websocket")[2]
