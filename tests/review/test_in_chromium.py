"""The page as a browser shows it: drawn without a complaint, and what is touched moves."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.browser import Tab, chromium_path, chromium_tab
from support.reviews import BRIGHT, DARK, review_face, review_files, review_frames, review_header

from vidrestore.record import FrameRecord, OutputFile, SourceFile

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
SIZES = [(1280, False), (1280, True), (400, False), (400, True)]


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = chromium_path()
    if program is None:
        if os.environ.get("VIDRESTORE_REQUIRE_CHROMIUM"):
            pytest.fail("VIDRESTORE_REQUIRE_CHROMIUM is set, but there is no Chromium")
        pytest.skip("no Chromium here: install one, or name it by VIDRESTORE_CHROMIUM")
    with chromium_tab(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two tracks: one throughout, with a gap and a dip; one left alone."""
    frames = review_frames(24)
    small = review_face(0, track=2, mask_xyxy=None, strength=0.0, reason=HOSTILE)
    for at in range(6, 18):
        faces = (review_face(at, strength=0.5 if at > 14 else 1.0),) if at != 10 else ()
        frames[at] = FrameRecord(index=at, pts=at, shot=0, faces=(*faces, small))
    header = review_header(
        source=SourceFile(name=HOSTILE),
        output=OutputFile(name=HOSTILE, codec="ffv1", pixel_format="yuv420p", lossless=True),
    )
    return review_files(
        tmp_path_factory.mktemp("review"), frames, count=24, header=header
    ).written()


def inside(
    picture: NDArray[np.uint8], box: tuple[float, float, float, float], inset: float = 0.0
) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    x, y = inset * (right - left), inset * (bottom - top)
    return picture[round(top + y) : round(bottom - y), round(left + x) : round(right - x)]


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_the_page_renders_without_errors_and_fetches_nothing(
    tab: Tab, page: Path, width: int, dark: bool
) -> None:
    tab.open(page, width=width, dark=dark)

    assert tab.complaints() == []
    assert tab.requests() == [page.absolute().as_uri()]
    assert tab.evaluate("document.querySelectorAll('.track').length") == 1
    assert tab.evaluate("document.querySelectorAll('tbody tr').length") == 2
    # Nothing sticks out: on a phone only the table scrolls sideways, in its own frame.
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    ground = tab.screenshot()[2, 2].mean()
    assert ground < 60 if dark else ground > 220


def test_hostile_names_are_shown_as_text(tab: Tab, page: Path) -> None:
    tab.open(page, width=1280)

    assert tab.evaluate("document.title") == f"Review of {HOSTILE}"
    assert tab.evaluate("document.querySelector('h1').textContent") == HOSTILE
    assert HOSTILE in tab.evaluate("document.querySelector('tbody').textContent")


@pytest.mark.parametrize(
    ("attempt", "directive"),
    [
        ("fetch('http://127.0.0.1:9/').catch(() => 0)", "connect-src"),
        ("new Image().src = 'http://127.0.0.1:9/x.png'", "img-src"),
        ("document.body.append(Object.assign(document.createElement('script'), "
         "{textContent: 'document.title = 1'}))", "script-src-elem"),
    ],
)  # fmt: skip
def test_the_content_security_policy_blocks_requests(
    tab: Tab, page: Path, attempt: str, directive: str
) -> None:
    tab.open(page, width=1280)

    stopped = tab.evaluate(
        "new Promise((done) => { document.addEventListener('securitypolicyviolation', "
        f"(event) => done(event.effectiveDirective)); {attempt}; }})"
    )
    assert stopped == directive


@pytest.mark.parametrize("width", [1280, 400])
def test_the_slider_shows_more_of_the_source_at_higher_values(
    tab: Tab, page: Path, width: int
) -> None:
    tab.open(page, width=width)
    box = tab.box_of(".compare")
    tab.evaluate("document.querySelector('.compare input').focus()")
    shares: list[float] = []
    for key, code in (("Home", 36), ("End", 35)):
        tab.press(key, code=code)
        face = inside(tab.screenshot(), box, inset=0.42)
        shares.append(float((face < (DARK + BRIGHT) / 2).mean()))

    assert shares == [0, 1]
    assert tab.evaluate("document.activeElement.tagName") == "INPUT"


def test_the_divider_follows_keys_and_mouse(tab: Tab, page: Path) -> None:
    tab.open(page, width=1280)
    left, top, right, bottom = box = tab.box_of(".compare")

    def source_columns() -> float:
        """Return which share of the face's width is the source's, away from the handle."""
        band = inside(tab.screenshot(), box)
        rows = band[round(0.35 * len(band)) : round(0.4 * len(band))]
        columns = rows[:, round(0.36 * rows.shape[1]) : round(0.64 * rows.shape[1])]
        return float((columns.mean(axis=2) < (DARK + BRIGHT) / 2).mean())

    middle = source_columns()
    assert middle == pytest.approx(0.5, abs=0.05)
    tab.evaluate("document.querySelector('.compare input').focus()")
    for _ in range(5):
        tab.press("ArrowRight", code=39)
    assert source_columns() == pytest.approx(middle + 0.05 / 0.28, abs=0.05)

    height = (top + bottom) / 2
    tab.drag((left + 0.55 * (right - left), height), (left + 0.42 * (right - left), height))
    assert source_columns() == pytest.approx((0.42 - 0.36) / 0.28, abs=0.05)


def test_clicking_a_frame_shows_and_marks_it(tab: Tab, page: Path) -> None:
    tab.open(page, width=1280)

    def shown() -> tuple[str, str]:
        return (
            tab.evaluate("document.querySelector('.values').textContent").split(" at ")[0],
            tab.evaluate("document.querySelector('.frames [aria-pressed=true]').textContent"),
        )

    before = shown()
    assert "typical" in before[1]
    tab.evaluate("[...document.querySelectorAll('.frames button')].at(-1).click()")
    tab.settle()
    assert shown()[0] == "frame 23"
    assert "last" in shown()[1]


@pytest.mark.parametrize("width", [1280, 400])
def test_every_curve_is_drawn(tab: Tab, page: Path, width: int) -> None:
    tab.open(page, width=width)

    count = tab.evaluate("document.querySelectorAll('.chart svg').length")
    assert count == 4
    for at in range(count):
        tab.evaluate(f"document.querySelectorAll('.chart svg')[{at}].id = 'chart{at}'")
        box = tab.box_of(f"#chart{at}")
        with_curve = inside(tab.screenshot(), box).astype(int)
        hide = f"document.querySelectorAll('#chart{at} path').forEach((each) => each.remove())"
        tab.evaluate(hide)
        tab.settle()
        without = inside(tab.screenshot(), box).astype(int)
        drawn = np.abs(with_curve - without).max(axis=2) > 40
        # A curve runs through most of the width.
        assert drawn.any(axis=0).mean() > 0.6


def test_a_curve_has_a_gap_where_the_face_is_absent(tab: Tab, page: Path) -> None:
    tab.open(page, width=1280)

    path = tab.evaluate("document.querySelector('[data-curve=strength] path').getAttribute('d')")
    assert path.count("M") == 2


def test_a_curve_is_read_by_mouse_and_keys(tab: Tab, page: Path) -> None:
    tab.open(page, width=1280)
    left, top, right, bottom = tab.box_of(".chart svg")

    tab.point(right - 11, (top + bottom) / 2)
    read = tab.evaluate("document.querySelector('.readout').textContent")
    assert read.startswith("frame 23 at 0:00.92 · identity similarity 0.67 · strength 1.00")

    tab.point(left, top - 300)
    tab.evaluate("document.querySelector('.charts').focus()")
    for _ in range(3):
        tab.press("ArrowRight", code=39)
    read = tab.evaluate("document.querySelector('.readout').textContent")
    assert read.startswith("frame 2 at 0:00.08")


def test_a_page_without_faces_renders(tab: Tab, tmp_path: Path) -> None:
    frames = [FrameRecord(index=at, pts=at, shot=0) for at in range(2)]
    tab.open(review_files(tmp_path, frames, count=2).written(), width=400)

    assert tab.complaints() == []
    assert "No faces were found." in tab.evaluate("document.body.textContent")


def test_changing_a_track_strength_updates_the_command(tab: Tab, page: Path) -> None:
    tab.open(page, width=1280)

    def command() -> str:
        return tab.evaluate("document.querySelector('.strengths code').textContent")

    assert command() == "vidrestore source.mkv -o again.mkv"
    tab.evaluate("document.querySelector('.strength input').focus()")
    for _ in range(2):
        tab.press("ArrowLeft", code=37)
    number = tab.evaluate("document.querySelector('.track').id").removeprefix("track-")
    assert command().endswith(f" --track-strength={number}=0.9")
    for _ in range(2):
        tab.press("ArrowRight", code=39)
    assert command() == "vidrestore source.mkv -o again.mkv"
