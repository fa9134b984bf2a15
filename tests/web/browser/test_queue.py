"""The queue as a browser shows it: canceled, resumed, seen in two tabs, alive after a crash."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.web_server import WebServer

Tab = Any


@pytest.fixture
def own_server(browser: Any, films: Path, tmp_path: Path) -> Iterator[WebServer]:
    started = WebServer(films, tmp_path / "state")
    yield started
    started.stop()


def start(tab: Tab, film: str, name: str) -> None:
    tab.page.get_by_role("tab", name="Restore").click()
    tab.open(film)
    tab.page.locator("#name input, #name textarea").fill(name)
    tab.page.locator("#start").click()
    tab.page.locator("#message", has_text=f"{film} is in the queue").wait_for()
    tab.show_queue()


def test_a_film_is_canceled_and_resumed(tab: Tab, server: WebServer) -> None:
    start(tab, "slow.mp4", "canceled.mkv")
    tab.wait_for_job("slow.mp4: running")
    tab.page.locator("#job", has_text="3 of 9 frames").wait_for()
    tab.page.locator("#cancel").click()
    tab.page.locator("#job", has_text="was canceled; what is finished is kept").wait_for()
    assert not (server.results / "canceled.mkv").exists()

    tab.page.locator("#resume").click()
    tab.page.locator("#job", has_text="is restored").wait_for()
    assert (server.results / "canceled.mkv").exists()


def test_the_error_of_a_run_is_shown(tab: Tab) -> None:
    start(tab, "broken.mp4", "broken.mkv")
    tab.page.locator("#job [role=alert]", has_text="no video stream").wait_for()
    tab.wait_for_job("broken.mp4: failed")


def test_two_tabs_share_a_queue_and_have_their_own_selection(
    new_tab: Callable[..., Tab], server: WebServer
) -> None:
    one, two = new_tab(), new_tab()
    two.show_queue()
    start(one, "slow.mp4", "two-tabs.mkv")
    start(one, "broken.mp4", "two-tabs-waiting.mkv")
    two.wait_for_job("broken.mp4: waiting")
    two.job("slow.mp4: running").click()
    two.page.locator("#job h3", has_text="slow.mp4").wait_for()
    assert one.text("#job h3") == "broken.mp4"

    two.page.locator("#cancel").click()
    one.wait_for_job("slow.mp4: canceled")
    one.page.locator("#job", has_text="could not be restored").wait_for()
    assert [job["state"] for job in server.jobs()[-2:]] == ["canceled", "failed"]


def test_jobs_survive_a_crash_and_a_closed_browser(
    own_server: WebServer, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(own_server.url)
    start(tab, "slow.mp4", "first.mkv")
    start(tab, "face.mp4", "second.mkv")
    tab.wait_for_job("face.mp4: waiting")
    tab.page.context.close()
    own_server.crash()
    own_server.start()

    again = new_tab(own_server.url)
    again.show_queue()
    again.wait_for_job("1. slow.mp4: done")
    again.wait_for_job("2. face.mp4: done")
    again.job("face.mp4").click()
    again.page.locator("#job video").wait_for()
    assert {path.name for path in own_server.results.glob("*.mkv")} == {"first.mkv", "second.mkv"}


def test_a_waiting_film_is_advanced_and_a_finished_one_is_removed(
    tab: Tab, server: WebServer
) -> None:
    start(tab, "slow.mp4", "blocking.mkv")
    start(tab, "broken.mp4", "later.mkv")
    start(tab, "broken.mp4", "sooner.mkv")
    tab.page.locator("#next").click()
    tab.page.locator("#job-message", has_text="broken.mp4 is the next").wait_for()
    outputs = [Path(job["output"]).name for job in server.jobs()]
    assert outputs.index("sooner.mkv") < outputs.index("later.mkv")

    tab.job("slow.mp4: running").click()
    tab.page.locator("#cancel").click()
    tab.page.locator("#job", has_text="was canceled").wait_for()
    tab.page.locator("#remove").click()
    tab.page.locator("#job-message", has_text="is no longer in the queue").wait_for()
    assert "blocking.mkv" not in [Path(job["output"]).name for job in server.jobs()]
