"""What the page refuses, and how it says so; markup in names and metadata stays text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.web_server import WebServer

Tab = Any


def alert_text(tab: Tab, place: str) -> str:
    alert = tab.page.locator(f"{place} [role=alert]")
    alert.wait_for()
    return alert.inner_text()


def test_files_that_are_not_films_of_the_folders_are_refused(tab: Tab, films: Path) -> None:
    (films.parent / "secret.mp4").write_bytes(b"secret")
    tab.open("face.mp4")
    for name in ("/etc/passwd", "../secret.mp4", "absent.mp4"):
        tab.choose(name)
        tab.page.locator("#source [role=alert]", has_text=name).wait_for()
        assert "no such file in the folders that were allowed" in alert_text(tab, "#source")
    tab.choose("text.mp4")
    tab.page.locator("#source [role=alert]", has_text="text.mp4: ").wait_for()

    # Nothing is open any more.
    tab.page.locator("#start").click()
    assert "open a film" in alert_text(tab, "#message")


def test_wrong_settings_and_names_are_refused_next_to_their_field(
    tab: Tab, server: WebServer
) -> None:
    before = len(server.jobs()) if (server.state / "queue.json").exists() else 0
    tab.open("face.mp4")
    for name in ("../escape.mkv", "/tmp/escape.mkv", ".hidden.mkv"):
        tab.page.locator("#name textarea").fill(name)
        assert "must be a short file name without folders" in alert_text(tab, "#message")
        tab.page.locator("#start").click()
        assert tab.page.locator("#command textarea").input_value() == ""
        tab.page.locator("#name textarea").fill("")
        tab.page.locator("#message [role=alert]").wait_for(state="detached")
    tab.page.get_by_role("button", name="More settings").click()
    tab.page.locator("#field-crf textarea").fill("much")
    assert "crf" in alert_text(tab, "#message")
    tab.page.locator("#preview-button").click()
    assert "crf" in alert_text(tab, "#preview")
    after = len(server.jobs()) if (server.state / "queue.json").exists() else 0
    assert before == after


def test_an_upload_above_the_limit_is_refused(
    browser: Any, films: Path, tmp_path: Path, small_server: WebServer, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(small_server.url)
    (tmp_path / "large.mp4").write_bytes(bytes(3_000_000))
    tab.page.locator("input[type=file]").set_input_files(tmp_path / "large.mp4")
    tab.page.get_by_text("exceed the maximum allowed size").first.wait_for()
    tab.complaints.clear()  # Gradio asks how far an upload is that was never sent
    assert not list((small_server.state / "uploads").rglob("large.mp4"))


@pytest.fixture
def small_server(browser: Any, films: Path, tmp_path: Path) -> Any:
    started = WebServer(films, tmp_path / "state", words=["--max-upload-gb", "0.001"])
    yield started
    started.stop()


def test_markup_in_a_name_and_in_metadata_is_shown_as_text(tab: Tab, markup: str) -> None:
    tab.open(f"{markup}.mp4")
    tab.page.locator("#source summary").click()
    assert markup in tab.text("#source table")
    tab.page.locator("#name textarea").fill("markup.mkv")
    tab.page.locator("#start").click()
    tab.page.locator("#message", has_text="is in the queue").wait_for()
    tab.show_queue()
    tab.wait_for_job(f"{markup}.mp4: running")
    assert tab.text("#job h3") == f"{markup}.mp4"
    tab.page.locator("#cancel").click()
    tab.wait_for_job(f"{markup}.mp4: canceled")
    assert tab.page.title() == "vidrestore"
    assert tab.page.locator("img[src=x]").count() == 0
