import base64
import hashlib
import re
import shlex
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip
from support.records import make_frame
from support.reviews import (
    BRIGHT,
    DARK,
    ReviewFiles,
    data_of,
    film_picture,
    review_face,
    review_files,
    review_frames,
    review_header,
)

from vidrestore.errors import MediaError, RecordError
from vidrestore.record import FrameRecord, OutputFile, SourceFile
from vidrestore.review.frame_selection import ROLES
from vidrestore.review.jpeg import FACE_BYTES, VIEW_BYTES
from vidrestore.review.page import page_html
from vidrestore.review.thumbnails import MAX_SHOTS, MAX_TRACKS

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&amp;'\"\u2028{{data}}"


class Elements(HTMLParser):
    """All start tags of a page with their attributes, and the text of its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags:
            self.texts.setdefault(self.tags[-1][0], []).append(data)


def decode_gray(uri: str) -> NDArray[np.uint8]:
    kind, _, encoded = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    data = np.frombuffer(base64.b64decode(encoded), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def background_level(uri: str) -> float:
    """Return the level around the face, which is 60 + 5 n in frame n."""
    return float(decode_gray(uri)[:3].mean())


def face_of(uri: str) -> float:
    picture = decode_gray(uri)
    height, width = picture.shape
    return float(picture[height // 3 : -height // 3, width // 3 : -width // 3].mean())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReviewFiles:
    files = review_files(tmp_path_factory.mktemp("review"))
    files.written()
    return files


def test_every_track_shows_its_face_before_and_after(files: ReviewFiles) -> None:
    (track,) = data_of(files.page)["tracks"]

    roles = [role for frame in track["shown"] for role in frame["roles"]]
    assert sorted(roles) == ["first", "last", "least alike", "most changed", "typical"]
    for frame in track["shown"]:
        assert face_of(frame["before"]) == pytest.approx(DARK, abs=3)
        assert face_of(frame["after"]) == pytest.approx(BRIGHT, abs=3)


def test_images_show_the_frames_of_their_captions(files: ReviewFiles) -> None:
    for frame in data_of(files.page)["tracks"][0]["shown"]:
        for side in ("before", "after"):
            assert background_level(frame[side]) == pytest.approx(60 + 5 * frame["frame"], abs=2)


def test_the_least_similar_frame_is_that_of_the_record(files: ReviewFiles) -> None:
    (track,) = data_of(files.page)["tracks"]

    (frame,) = [entry for entry in track["shown"] if "least alike" in entry["roles"]]
    assert (frame["frame"], frame["similarity"]) == (7, 0.83)
    assert frame["seconds"] == pytest.approx(7 / 25)


def test_the_table_has_the_totals_of_the_record(files: ReviewFiles) -> None:
    (track,) = data_of(files.page)["tracks"]

    assert (track["number"], track["shot"], track["frames"], track["changed"]) == (1, 0, 8, 8)
    assert (track["first"], track["last"]) == (0, pytest.approx(0.28))
    assert (track["side"], track["similarity"], track["strength"]) == (40, 0.865, 1)
    assert shlex.split(track["command"]) == files.rerun(1)


def test_curves_hold_every_value_of_a_short_track(files: ReviewFiles) -> None:
    curves = data_of(files.page)["tracks"][0]["curves"]

    assert curves["framesPerBin"] == 1
    low, high = curves["values"]["similarity"]
    assert low == high == pytest.approx([0.9 - 0.01 * at for at in range(8)])
    assert curves["values"]["flicker_before"][0] == [None, *[1] * 7]


def test_a_shot_is_shown_with_boxes_in_its_own_pixels(files: ReviewFiles) -> None:
    (shot,) = data_of(files.page)["shots"]

    assert (shot["width"], shot["height"]) == (128, 96)
    assert shot["boxes"] == [{"track": 1, "box": [40, 24, 72, 64], "changed": True}]


def test_the_page_loads_nothing_and_its_policy_allows_nothing(files: ReviewFiles) -> None:
    text = files.page.read_text()
    elements = Elements(text)

    for _, attributes in elements.tags:
        for name in ("src", "href", "action", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in elements.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for tag in ("style", "script"):
        (own,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    frames = [
        FrameRecord(index=0, pts=0, shot=0, faces=(review_face(0, strength=0.5, reason=HOSTILE),))
    ]
    header = review_header(
        source=SourceFile(name=HOSTILE),
        output=OutputFile(name=HOSTILE, codec=HOSTILE, pixel_format="x", lossless=False),
        model=HOSTILE,
        program=HOSTILE,
        settings={HOSTILE: HOSTILE},
        digital_source_type=HOSTILE,
    )
    files = review_files(tmp_path, frames, count=1, header=header)
    page = files.written()

    data = data_of(page)
    tags = [tag for tag, _ in Elements(page.read_text()).tags]
    plain = review_files(tmp_path, count=2).written()
    assert tags == [tag for tag, _ in Elements(plain.read_text()).tags]
    assert data["title"] == HOSTILE
    assert data["settings"] == [[HOSTILE, HOSTILE]]
    assert data["tracks"][0]["reasons"] == [[HOSTILE, 1]]


def test_a_name_that_is_not_unicode_gives_a_page(tmp_path: Path) -> None:
    header = review_header(source=SourceFile(name="fi\udcfflm.mkv"))

    page = review_files(tmp_path, count=2, header=header).written()
    assert ["source", "fi\udcfflm.mkv"] in data_of(page)["facts"]


def test_inserted_values_are_not_read_as_placeholders() -> None:
    text = page_html({"title": "{{script}}{{style}}{{data}}"})

    assert text.count("<script>") == 1
    assert '{"title":"{{script}}{{style}}{{data}}"}' in text


def test_only_the_most_changed_tracks_have_images_and_all_are_in_the_table(
    tmp_path: Path,
) -> None:
    count = MAX_TRACKS + 3
    frames = [
        # Track n is there in n + 1 frames.
        make_frame(at, faces=tuple(review_face(0, track=number) for number in range(at, count)))
        for at in range(count)
    ]
    page = review_files(tmp_path, frames, count=count).written()

    tracks = data_of(page)["tracks"]
    assert [track["number"] for track in tracks] == list(range(count))
    assert [track["number"] for track in tracks if track["shown"]] == list(range(3, count))


def test_the_total_size_of_the_images_of_a_page_is_limited() -> None:
    faces = MAX_TRACKS * len(ROLES) * 2 * FACE_BYTES
    assert 4 / 3 * (faces + MAX_SHOTS * VIEW_BYTES) < 19e6  # README says 20 MB with all the rest


def test_an_unrestored_track_is_in_the_table_without_images(tmp_path: Path) -> None:
    alone = review_face(0, mask_xyxy=None, strength=0.0, reason="too small", luma_after=None)
    frames = [FrameRecord(index=0, pts=0, shot=0, faces=(alone,))]

    (track,) = data_of(review_files(tmp_path, frames, count=1).written())["tracks"]
    assert track["shown"] is None
    assert track["reasons"] == [["too small", 1]]


def test_a_film_without_faces_has_a_page_that_says_so(tmp_path: Path) -> None:
    frames = [FrameRecord(index=at, pts=at, shot=0) for at in range(3)]

    data = data_of(review_files(tmp_path, frames, count=3).written())
    assert data["tracks"] == data["shots"] == []
    assert data["synthesis"][0] == "Nothing was synthesized: no face was changed."


def test_a_page_says_what_is_synthetic_and_what_the_encoder_changed(files: ReviewFiles) -> None:
    sentences = " ".join(data_of(files.page)["synthesis"])

    assert "8 faces (each counted once per frame)" in sentences
    assert "bit for bit" in sentences
    assert "do not use it as evidence" in sentences
    assert "compositeWithTrainedAlgorithmicMedia" in sentences


def test_the_result_of_a_time_range_is_compared_with_that_range(tmp_path: Path) -> None:
    faces = (review_face(0),)
    frames = [FrameRecord(index=at, pts=at + 5, shot=0, faces=faces) for at in range(3)]
    files = review_files(tmp_path, frames)

    def later(number: int, size_hw: tuple[int, int]):
        return film_picture(BRIGHT)(number + 5, size_hw)

    size = {"size_hw": (96, 128), "ticks": (0, 1, 2), "codec": "ffv1", "options": {}}
    make_clip(files.result, Clip(**size, picture=later))  # type: ignore[arg-type]

    for frame in data_of(files.written())["tracks"][0]["shown"]:
        grounds = [background_level(frame[side]) for side in ("before", "after")]
        assert grounds == pytest.approx([60 + 5 * (frame["frame"] + 5)] * 2, abs=2)


def test_an_enlarged_result_shows_the_same_region(tmp_path: Path) -> None:
    header = review_header(scale=2, time_base=Fraction(1, 25))
    files = review_files(tmp_path, count=3, header=header)

    def twice(number: int, size_hw: tuple[int, int]):
        return film_picture(BRIGHT)(number, (96, 128)).repeat(2, axis=0).repeat(2, axis=1)

    size = {"size_hw": (192, 256), "ticks": (0, 1, 2), "codec": "ffv1", "options": {}}
    make_clip(files.result, Clip(**size, picture=twice))  # type: ignore[arg-type]

    for frame in data_of(files.written())["tracks"][0]["shown"]:
        before, after = decode_gray(frame["before"]), decode_gray(frame["after"])
        assert after.shape == (2 * before.shape[0], 2 * before.shape[1])
        # The edges of the face lie where they lay.
        dark, bright = before[before.shape[0] // 2] < 45, after[after.shape[0] // 2] > 190
        np.testing.assert_allclose(
            np.flatnonzero(bright)[[0, -1]] / 2, np.flatnonzero(dark)[[0, -1]], atol=1.5
        )


def test_a_result_in_avi_without_timestamps_shows_the_right_frames(tmp_path: Path) -> None:
    files = review_files(tmp_path)
    clip = Clip(size_hw=(96, 128), ticks=tuple(range(8)), picture=film_picture(BRIGHT))
    result = make_clip(tmp_path / "result.avi", clip)

    page = ReviewFiles(files.source, result, files.record, files.page).written()
    for frame in data_of(page)["tracks"][0]["shown"]:
        assert background_level(frame["after"]) == pytest.approx(60 + 5 * frame["frame"], abs=2)


def test_a_film_of_another_size_is_refused(tmp_path: Path) -> None:
    files = review_files(tmp_path)
    make_clip(files.result, Clip(size_hw=(48, 96)))

    with pytest.raises(MediaError, match=r"result\.mkv: is 96x48.*128x96"):
        files.written()
    assert not files.page.exists()


def test_a_film_that_is_shorter_than_the_record_is_refused(tmp_path: Path) -> None:
    files = review_files(tmp_path, review_frames(30), count=8)

    with pytest.raises(MediaError, match=r"source\.mkv: no frame at"):
        files.written()


def test_a_result_that_lacks_its_last_frame_is_refused(tmp_path: Path) -> None:
    files = review_files(tmp_path, count=8)
    size = {"size_hw": (96, 128), "ticks": tuple(range(7)), "codec": "ffv1", "options": {}}
    make_clip(files.result, Clip(**size, picture=film_picture(BRIGHT)))  # type: ignore[arg-type]

    with pytest.raises(MediaError, match=r"result\.mkv: no frame at 0\.280 s"):
        files.written()


def test_distant_frames_are_found_in_a_time_range(tmp_path: Path) -> None:
    def counting(start: int):
        def picture(number: int, size_hw: tuple[int, int]):
            return np.full((*size_hw, 3), 40 + start + number, np.uint8)

        return picture

    skipped, count, faces = 25, 125, (review_face(0, identity_similarity=None),)
    frames = [
        FrameRecord(index=at, pts=25 * (at + skipped), shot=0, faces=faces) for at in range(count)
    ]
    files = review_files(tmp_path, frames)
    slow = {"size_hw": (96, 128), "last_duration_ticks": 25, "codec": "ffv1", "options": {}}
    for path, start in ((files.source, 0), (files.result, skipped)):
        ticks = tuple(range(0, 25 * (count + skipped - start), 25))
        make_clip(path, Clip(**slow, ticks=ticks, picture=counting(start)))  # type: ignore[arg-type]

    shown = data_of(files.written())["tracks"][0]["shown"]
    assert shown[-1]["frame"] == count - 1
    for frame in shown:
        for side in ("before", "after"):
            assert background_level(frame[side]) == pytest.approx(65 + frame["frame"], abs=2)


def test_an_invalid_frame_rate_is_refused_with_its_line(tmp_path: Path) -> None:
    header = review_header(settings={"fps": "1/0"}, time_base=Fraction(1, 25))

    with pytest.raises(RecordError, match=r"record\.jsonl: line 1: settings\.fps"):
        review_files(tmp_path, count=2, header=header).written()
