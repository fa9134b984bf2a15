"""A film is opened, previewed, restored and looked at, by mouse, by keys, and on a phone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.web_server import WebServer

Tab = Any


def test_an_uploaded_film_is_previewed_restored_and_downloaded(
    tab: Tab, server: WebServer, films: Path, tmp_path: Path
) -> None:
    tab.page.locator("input[type=file]").set_input_files(films / "face.mp4")
    tab.page.locator("#source h3", has_text="face.mp4").wait_for()
    source = tab.text("#source")
    assert "A film: 320 x 240 pixels, 0.3 seconds, 25 frames per second, 8-bit H.264." in source
    assert "With one sound track" in source

    tab.page.locator("#preview-button").click()
    tab.page.locator("#preview .values", has_text="1 face").wait_for()
    images = "[...document.querySelectorAll('#preview .compare img')]"
    sizes = f"{images}.map((each) => [each.naturalWidth, each.naturalHeight])"
    assert tab.page.evaluate(sizes) == [[320, 240]] * 2
    assert tab.page.evaluate(f"new Set({images}.map((each) => each.src)).size") == 2

    tab.page.locator("#name input, #name textarea").fill("uploaded.mkv")
    tab.page.locator("#command textarea").wait_for()
    tab.page.wait_for_function(
        "document.querySelector('#command textarea').value.includes('uploaded.mkv')"
    )
    tab.page.locator("#start").click()
    tab.page.locator("#message", has_text="face.mp4 is in the queue").wait_for()
    tab.show_queue()
    tab.wait_for_job("face.mp4: done")
    film = tab.page.locator("#job video")
    film.wait_for()
    tab.page.wait_for_function("document.querySelector('#job video').readyState >= 2")
    size = film.evaluate("(each) => [each.videoWidth, each.videoHeight, each.error]")
    assert size == [640, 240, None]
    film.evaluate("(each) => each.play()")
    tab.page.wait_for_function(
        "document.querySelector('#job video').webkitAudioDecodedByteCount > 0"
    )

    with tab.page.expect_download() as downloaded:
        tab.page.get_by_role("link", name="Download the result").click()
    downloaded.value.save_as(tmp_path / "result.mkv")
    assert (tmp_path / "result.mkv").read_bytes() == (server.results / "uploaded.mkv").read_bytes()
    with tab.page.context.expect_page() as review:
        tab.page.get_by_role("link", name="Review page").click()
    review.value.locator(".track .compare").first.wait_for()
    report = tab.page.get_by_role("link", name="Report").get_attribute("href")
    assert json.loads(tab.page.request.get(server.url + report).text())["frames"] == 8

    # Its review page in the frame says which strength was changed; the film is restored with it.
    tab.page.locator(".vr-faces summary").click()
    slider = tab.page.frame_locator(".vr-faces iframe").locator(".strength input").first
    slider.focus()
    slider.press("Home")
    tab.page.wait_for_function("document.querySelector('#strengths textarea').value === '1=0'")
    tab.page.locator("#again").click()
    tab.page.locator(
        "#job-message", has_text="is in the queue again, for uploaded-2.mkv"
    ).wait_for()
    assert server.jobs()[-1]["words"] == ["--track-strength=1=0"]
    tab.wait_for_job("face.mp4: running")
    tab.page.locator("#cancel").click()
    tab.wait_for_job("face.mp4: canceled")


def test_a_film_is_restored_with_keys_alone(tab: Tab, server: WebServer) -> None:
    def go_to(selector: str) -> None:
        for _ in range(80):
            tab.page.keyboard.press("Tab")
            if tab.page.evaluate(f"document.activeElement.closest({selector!r}) !== null"):
                return
        pytest.fail(f"no key leads to {selector}")

    go_to("#path")
    tab.page.keyboard.type("slow.mp4")
    tab.page.keyboard.press("Enter")
    go_to("#open")
    tab.page.keyboard.press("Enter")
    tab.page.locator("#source h3", has_text="slow.mp4").wait_for()
    go_to("#field-strength")
    tab.page.keyboard.press("Home")
    go_to("#name")
    tab.page.keyboard.type("keys.mkv")
    go_to("#start")
    tab.page.keyboard.press("Space")
    tab.page.locator("#message", has_text="slow.mp4 is in the queue").wait_for()
    assert server.jobs()[-1]["output"].endswith("keys.mkv")

    go_to("[role=tab]:not(.selected)")
    tab.page.keyboard.press("Enter")
    tab.wait_for_job("slow.mp4: running")
    go_to("#cancel")
    tab.page.keyboard.press("Enter")
    tab.wait_for_job("slow.mp4: canceled")


def test_a_phone_shows_everything_in_its_width(new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(width=390, height=844)
    tab.open("face.mp4")
    tab.page.locator("#preview-button").tap()
    tab.page.locator("#preview .values", has_text="face").wait_for()
    tab.page.get_by_role("button", name="More settings").tap()
    tab.page.locator("#field-repair").wait_for()
    assert tab.is_in_width()

    tab.page.locator("#start").tap()
    tab.page.locator("#message", has_text="face.mp4 is in the queue").wait_for()
    tab.show_queue()
    tab.page.locator("#job video").wait_for()
    assert tab.is_in_width()
