"""``vidrestore web`` in Chromium, driven by Playwright; skipped where one of them is missing.

pip install '.[web-test]', and a Chromium: apt install chromium, or VIDRESTORE_CHROMIUM=PATH.
"""

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support.browser import chromium_path
from support.clips import Clip, Sound, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.web_server import WebServer

PATIENCE_MILLISECONDS = 120_000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
MARKUP = "<img src=x onerror=\"document.title='taken'\">"
"""A film of this name, and with this title in its metadata."""


def _missing(what: str) -> None:
    if os.environ.get("VIDRESTORE_REQUIRE_CHROMIUM"):
        pytest.fail(f"VIDRESTORE_REQUIRE_CHROMIUM is set, but {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium() -> str:
    """A Chromium; without one, or what drives it, the tests are skipped."""
    for name in ("gradio", "playwright"):
        if not _is_installed(name):
            _missing(f"{name} is not installed: pip install '.[web-test]'")
    program = chromium_path()
    if program is None:
        _missing("there is no Chromium: install one, or name it by VIDRESTORE_CHROMIUM")
    return str(program)


# Not for the session: while it is open, no other test can use asyncio.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


def _is_installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of films: with a face and audio, with a hostile name, and films for the stub."""
    folder = tmp_path_factory.mktemp("films")
    clip = Clip(
        size_hw=FACE_SIZE_HW,
        ticks=tuple(range(8)),
        picture=face_picture,
        sounds=(Sound(seconds=Fraction(8, 25)),),
        metadata={"title": MARKUP},
    )
    make_clip(folder / "face.mp4", clip)
    for name in ("slow", "broken", MARKUP):
        (folder / f"{name}.mp4").write_bytes((folder / "face.mp4").read_bytes())
    (folder / "text.mp4").write_text("no film\n")
    return folder


@pytest.fixture(scope="session")
def server(
    chromium: str, films: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    started = WebServer(films, tmp_path_factory.mktemp("web") / "state")
    yield started
    started.stop()


class Tab:
    """A tab of the page, and all it asks for and complains about."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._see(request.url, url))
        page.goto(url)
        page.locator("#start").wait_for()

    def _listen(self, message: Any) -> None:
        # The second is Gradio's own, at every upload.
        if message.type in ("error", "warning") and message.text != "Method not implemented.":
            self.complaints.append(f"{message.text} ({message.location})")

    def _see(self, address: str, url: str) -> None:
        if not address.startswith((url, "data:", "blob:")):
            self.foreign.append(address)

    def choose(self, name: str) -> None:
        """Open a film of the folder by its name."""
        self.page.locator("#path input").fill(name)
        self.page.locator("#path input").press("Enter")
        self.page.locator("#open").click()

    def open(self, name: str) -> None:
        """Open a film, and wait until it is."""
        self.choose(name)
        self.page.locator("#source h3", has_text=name).wait_for()

    def show_queue(self) -> None:
        """Go to the queue."""
        self.page.get_by_role("tab", name="Queue").click()

    def job(self, text: str) -> Any:
        """Return the radio button of a job, as `slow.mp4: running`."""
        return self.page.locator("#jobs label", has_text=text)

    def wait_for_job(self, text: str) -> None:
        self.job(text).wait_for()

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def is_in_width(self) -> bool:
        """Return whether nothing sticks out to the side."""
        return self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def new_tab(browser: Any, server: WebServer) -> Iterator[Callable[..., Tab]]:
    """Opens tabs; at the end none of them may have complained, or asked another server."""
    tabs: list[Tab] = []

    def open_tab(url: str = server.url, *, width: int = 1280, height: int = 900) -> Tab:
        is_phone = width < 600
        context = browser.new_context(
            viewport={"width": width, "height": height}, has_touch=is_phone, is_mobile=is_phone
        )
        tabs.append(Tab(context.new_page(), url))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.page.context.close()
    assert [tab.foreign for tab in tabs] == [[]] * len(tabs)
    assert [tab.complaints for tab in tabs] == [[]] * len(tabs)


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    return new_tab()


@pytest.fixture
def markup() -> str:
    return MARKUP
