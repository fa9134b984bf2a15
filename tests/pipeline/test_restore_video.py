"""Films through the pipeline: what is restored, and what must not change."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.clips import (
    Clip,
    Sound,
    first_beep_seconds,
    first_flash_seconds,
    make_clip,
    number_of,
    packets_of,
)
from support.faceclips import FACE_SIZE_HW, face_picture, sideways_face_picture
from support.video_copies import frames_of

from vidrestore import RestoreReport, RestoreSettings, restore_video
from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.video_info import probe
from vidrestore.progress import Progress
from vidrestore.types import Frame

LOSSLESS = {"codec": "ffv1", "device": "cpu", "precision": "fp32"}
FRAMES = 10


def face_clip(folder: Path, name: str = "face.mkv", **changes: object) -> Path:
    settings = {"size_hw": FACE_SIZE_HW, "ticks": tuple(range(FRAMES)), "picture": face_picture}
    return make_clip(folder / name, Clip(**{**settings, **changes}))  # type: ignore[arg-type]


def restore(source: Path, name: str = "out.mkv", **settings: object) -> tuple[Path, RestoreReport]:
    target = source.with_name(name)
    chosen = RestoreSettings(**{**LOSSLESS, **settings})  # type: ignore[arg-type]
    return target, restore_video(source, target, settings=chosen)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with a face, B-frames and audio."""
    sound = Sound(seconds=Fraction(FRAMES, 25), beeps_seconds=(Fraction(1, 5),))
    return face_clip(tmp_path_factory.mktemp("film"), sounds=(sound,))


@pytest.fixture(scope="module")
def result(film: Path) -> tuple[Path, RestoreReport]:
    return restore(film)


def changed_luma(before: Frame, after: Frame) -> np.ndarray:
    return before.planes[0] != after.planes[0]


def test_the_face_is_changed_in_every_frame(film: Path, result: tuple[Path, RestoreReport]) -> None:
    target, report = result
    assert (report.frames, report.faces, report.tracks, report.shots) == (FRAMES, FRAMES, 1, 1)
    for before, after in zip(frames_of(film), frames_of(target), strict=True):
        assert changed_luma(before, after).mean() > 0.02


def test_samples_away_from_the_face_are_bit_identical(
    film: Path, result: tuple[Path, RestoreReport]
) -> None:
    pairs = list(zip(frames_of(film), frames_of(result[0]), strict=True))
    touched = np.logical_or.reduce([changed_luma(*pair) for pair in pairs])
    rows, columns = np.nonzero(touched)
    # One face, so one compact patch; the rest is most of the picture.
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    assert touched[box].size < 0.5 * touched.size
    for before, after in pairs:
        assert number_of(before) == number_of(after)
        for plane in range(3):
            old, new = before.planes[plane], after.planes[plane]
            step = touched.shape[0] // old.shape[0]
            outside = np.ones(old.shape, dtype=bool)
            outside[
                max(0, box[0].start // step - 1) : box[0].stop // step + 1,
                max(0, box[1].start // step - 1) : box[1].stop // step + 1,
            ] = False
            np.testing.assert_array_equal(old[outside], new[outside])


def test_timestamps_and_audio_are_those_of_the_source(
    film: Path, result: tuple[Path, RestoreReport]
) -> None:
    for before, after in zip(frames_of(film), frames_of(result[0]), strict=True):
        assert before.timestamp.seconds == after.timestamp.seconds
    old, new = (packets_of(path, "audio") for path in (film, result[0]))
    assert [(packet.pts, packet.data) for packet in old] == [
        (packet.pts, packet.data) for packet in new
    ]


def test_the_batch_size_does_not_change_the_result(
    film: Path, result: tuple[Path, RestoreReport]
) -> None:
    alone, _ = restore(film, "alone.mkv", batch_size=1)
    for one, other in zip(frames_of(alone), frames_of(result[0]), strict=True):
        for first, second in zip(one.planes, other.planes, strict=True):
            # Convolutions of another batch may round a last bit otherwise.
            assert np.abs(first.astype(int) - second).max() <= 1


def test_two_runs_give_the_same_samples(film: Path, result: tuple[Path, RestoreReport]) -> None:
    again, _ = restore(film, "again.mkv")
    for one, other in zip(frames_of(again), frames_of(result[0]), strict=True):
        for first, second in zip(one.planes, other.planes, strict=True):
            np.testing.assert_array_equal(first, second)


def test_a_strength_of_zero_keeps_every_sample(film: Path) -> None:
    target, report = restore(film, "zero.mkv", strength=0.0)
    assert report.frames == FRAMES
    for before, after in zip(frames_of(film), frames_of(target), strict=True):
        for old, new in zip(before.planes, after.planes, strict=True):
            np.testing.assert_array_equal(old, new)


def test_a_film_without_faces_is_unchanged_and_the_report_says_so(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "plain.mkv")
    target, report = restore(source)
    assert report.faces == 0
    assert any("no faces" in note for note in report.notes)
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        for old, new in zip(before.planes, after.planes, strict=True):
            np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p", "yuv444p10le"])
def test_depth_and_chroma_sampling_are_kept(tmp_path: Path, pixel_format: str) -> None:
    source = face_clip(tmp_path, pixel_format=pixel_format, ticks=(0, 1, 2))
    target, report = restore(source)
    assert report.faces == 3
    assert probe(target).pixel_format_name == pixel_format
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        assert 0.02 < changed_luma(before, after).mean() < 0.5


def test_a_rotated_film_is_restored_upright_and_stays_rotated(tmp_path: Path) -> None:
    source = face_clip(
        tmp_path,
        "sideways.mp4",
        size_hw=FACE_SIZE_HW[::-1],
        picture=sideways_face_picture,
        rotation_degrees=-90,
        ticks=(0, 1, 2),
    )
    target, report = restore(source, "out.mp4", codec="h264", crf=1)
    assert report.faces == 3
    assert probe(target).geometry == probe(source).geometry
    assert probe(target).geometry.quarter_turns == 1


def test_odd_sizes_keep_their_size(tmp_path: Path) -> None:
    source = face_clip(
        tmp_path, size_hw=(231, 309), pixel_format="yuv444p", ticks=(0, 1), codec="libx264"
    )
    target, report = restore(source)
    assert report.faces == 2
    assert probe(target).geometry.coded_hw == (231, 309)


def test_a_variable_frame_rate_stays_variable(tmp_path: Path) -> None:
    ticks = (0, 40, 50, 120, 360, 361)
    source = face_clip(tmp_path, ticks=ticks, time_base=Fraction(1, 1000), last_duration_ticks=30)
    target, _ = restore(source)
    assert [frame.timestamp.seconds for frame in frames_of(target)] == [
        Fraction(tick, 1000) for tick in ticks
    ]


def test_flash_and_beep_stay_in_sync(tmp_path: Path) -> None:
    at = Fraction(2, 5)
    source = make_clip(
        tmp_path / "sync.mp4",
        Clip(
            ticks=tuple(range(25)),
            flashes_seconds=(at,),
            sounds=(Sound(seconds=Fraction(1), beeps_seconds=(at,)),),
        ),
    )
    target, _ = restore(source, "out.mp4", codec="h264")

    def distance(path: Path) -> Fraction:
        return first_flash_seconds(path) - first_beep_seconds(path)

    assert distance(target) == distance(source)
    assert abs(distance(target)) < Fraction(1, 25)


def test_films_without_audio_and_with_two_audio_streams_are_restored(tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "silent.mp4")
    assert restore(silent, "silent_out.mp4", codec="h264")[1].frames == 12
    sounds = (Sound(language="eng"), Sound(language="deu", start_seconds=Fraction(1, 4)))
    double = make_clip(tmp_path / "double.mkv", Clip(sounds=sounds))
    target, _ = restore(double)
    for number in (0, 1):
        assert packets_of(target, "audio", number) == packets_of(double, "audio", number)


def test_a_shot_change_ends_every_track(tmp_path: Path) -> None:
    def two_scenes(number: int, size_hw: tuple[int, int]) -> np.ndarray:
        if number < 8:
            return face_picture(number, size_hw)
        mirrored = face_picture(number, size_hw)[:, ::-1]
        return np.ascontiguousarray(255 - mirrored // 2 if number >= 16 else mirrored)

    source = face_clip(tmp_path, ticks=tuple(range(16)), picture=two_scenes)
    _, report = restore(source)
    assert report.shots == 2
    assert report.tracks == 2
    assert {record.shot for record in report.track_records} == {0, 1}


def test_black_and_white_footage_keeps_its_chroma(tmp_path: Path) -> None:
    def gray(number: int, size_hw: tuple[int, int]) -> np.ndarray:
        picture = cv2.cvtColor(face_picture(number, size_hw), cv2.COLOR_RGB2GRAY)
        return np.repeat(np.asarray(picture, np.uint8)[:, :, None], 3, axis=2)

    source = face_clip(tmp_path, picture=gray, ticks=(0, 1, 2))
    target, report = restore(source)
    assert report.faces == 3
    assert report.shot_records[0].one_tone
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        assert changed_luma(before, after).any()
        np.testing.assert_array_equal(before.planes[1], after.planes[1])
        np.testing.assert_array_equal(before.planes[2], after.planes[2])


@pytest.mark.parametrize("depth", [8, 16])
def test_an_image_sequence_keeps_its_file_names(tmp_path: Path, depth: int) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    scale = 257 if depth == 16 else 1
    for number in (2, 10, 1):
        rgb = face_picture(number, FACE_SIZE_HW).astype(np.uint16 if depth == 16 else np.uint8)
        cv2.imwrite(str(folder / f"take{number}.png"), rgb[:, :, ::-1] * scale)
    target = tmp_path / "out"
    report = restore_video(folder, target, settings=RestoreSettings(device="cpu"))
    assert report.faces == 3
    assert sorted(path.name for path in target.iterdir()) == [
        "take1.png",
        "take10.png",
        "take2.png",
    ]
    for path in target.iterdir():
        after = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        before = cv2.imread(str(folder / path.name), cv2.IMREAD_UNCHANGED)
        assert after is not None
        assert before is not None
        assert after.dtype == before.dtype
        differs = (after != before).any(axis=2)
        assert 0.02 < differs.mean() < 0.5


def test_a_single_image_is_restored(tmp_path: Path) -> None:
    source = tmp_path / "portrait.png"
    cv2.imwrite(str(source), face_picture(0, FACE_SIZE_HW)[:, :, ::-1])
    report = restore_video(source, tmp_path / "out.png", settings=RestoreSettings(device="cpu"))
    assert (report.frames, report.faces) == (1, 1)
    assert (tmp_path / "out.png").is_file()


def still_face_with_noise(number: int, size_hw: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, 8, (*size_hw, 3))
    return np.clip(face_picture(0, size_hw) + noise, 0, 255).astype(np.uint8)


def test_a_noisy_face_is_steadier_with_temporal_denoising(tmp_path: Path) -> None:
    source = face_clip(tmp_path, ticks=tuple(range(5)), picture=still_face_with_noise)
    trembling: list[float] = []
    for steady in (0.0, 1.0):
        target, _ = restore(source, f"{steady}.mkv", steady=steady, grain=0.0)
        lumas = [frame.planes[0].astype(np.float32) for frame in frames_of(target)]
        touched = np.logical_and.reduce(
            [changed_luma(*pair) for pair in zip(frames_of(source), frames_of(target), strict=True)]
        )
        trembling.append(float(np.abs(np.diff(lumas, axis=0))[:, touched].mean()))
    assert trembling[1] < 0.7 * trembling[0]


def test_a_single_image_is_not_temporally_denoised(tmp_path: Path) -> None:
    source = tmp_path / "one.png"
    cv2.imwrite(str(source), face_picture(0, FACE_SIZE_HW)[:, :, ::-1])
    alone, looked = (restore(source, f"{steady}.png", steady=steady)[0] for steady in (0.0, 1.0))
    assert alone.read_bytes() == looked.read_bytes()


def test_a_time_range_is_restored(film: Path) -> None:
    target, report = restore(
        film, "part.mkv", start_seconds=Fraction(3, 25), end_seconds=Fraction(7, 25)
    )
    assert report.frames == 4
    assert [number_of(frame) for frame in frames_of(target)] == [3, 4, 5, 6]


def test_a_time_range_beyond_the_end_is_refused(film: Path) -> None:
    with pytest.raises(MediaError, match="--start"):
        restore(film, "beyond.mkv", start_seconds=Fraction(60))
    assert not film.with_name("beyond.mkv").exists()


def test_the_comparison_shows_before_on_the_left_and_after_on_the_right(film: Path) -> None:
    side = film.with_name("side.mkv")
    target, _ = restore(film, "compared.mkv", compare=side)
    width = FACE_SIZE_HW[1]
    for both, before, after in zip(
        frames_of(side), frames_of(film), frames_of(target), strict=True
    ):
        np.testing.assert_array_equal(both.planes[0][:, :width], before.planes[0])
        np.testing.assert_array_equal(both.planes[0][:, width:], after.planes[0])


def test_only_the_largest_face_is_restored_on_request(tmp_path: Path) -> None:
    def pair(number: int, size_hw: tuple[int, int]) -> np.ndarray:
        large = face_picture(number, (size_hw[0], size_hw[1] * 2 // 3))
        small = np.zeros((size_hw[0], size_hw[1] - large.shape[1], 3), np.uint8)
        shrunk = cv2.resize(large, (small.shape[1], small.shape[1] * 3 // 4))
        small[: shrunk.shape[0]] = shrunk
        return np.ascontiguousarray(np.concatenate([large, small], axis=1))

    source = face_clip(tmp_path, size_hw=(360, 720), picture=pair, ticks=(0, 1, 2))
    assert restore(source, "all.mkv")[1].tracks == 2
    assert restore(source, "largest.mkv", faces="largest")[1].tracks == 1


def test_progress_ends_at_the_frame_count_of_the_report(film: Path) -> None:
    inputs: list[Progress] = []
    target = film.with_name("progress.mkv")
    report = restore_video(
        film, target, settings=RestoreSettings(**LOSSLESS), on_progress=inputs.append
    )
    assert inputs[0].stage == "starting"
    assert inputs[-1].stage == "finishing"
    assert [update.frames_done for update in inputs if update.stage == "restoring"] == [
        *range(1, report.frames + 1)
    ]
    assert inputs[-1].faces_done == report.faces


def test_an_interrupted_run_leaves_no_files(film: Path, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.frames_done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_video(film, tmp_path / "out.mkv", on_progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_report_has_all_documented_values(result: tuple[Path, RestoreReport]) -> None:
    plain = result[1].to_json()
    assert {"frames", "shots", "tracks", "faces", "timing", "versions"} <= plain.keys()
    assert {"decode", "track", "align", "restore", "paste", "write", "encode"} <= plain[
        "timing"
    ].keys()
    assert all(seconds >= 0 for seconds in plain["timing"].values())
    assert "torch" in plain["versions"]


REFUSED: tuple[dict[str, object], ...] = (
    {"strength": 1.2},
    {"steady": -0.1},
    {"detector": "haar"},
    {"batch_size": 0},
    {"codec": "mpeg9"},
    {"start_seconds": Fraction(5), "end_seconds": Fraction(4)},
)


@pytest.mark.parametrize("wrong", REFUSED, ids=str)
def test_conflicting_restore_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        RestoreSettings(**wrong)  # type: ignore[arg-type]


def test_one_file_as_input_and_output_is_refused(film: Path) -> None:
    with pytest.raises(MediaError):
        restore_video(film, film, settings=RestoreSettings(overwrite=True))
