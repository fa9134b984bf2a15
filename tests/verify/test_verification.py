import json
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.clips import Clip, Sound, make_clip, make_rich_clip, run_ffmpeg
from support.verify_cases import (
    MASK,
    changed_names,
    copy_damaged,
    find_check,
    record_of,
    restored_copy,
    with_faces,
    with_moved_frame,
    with_repeated_frame,
    with_sample,
    without,
)

from vidrestore.errors import RecordError
from vidrestore.record import RecordHeader
from vidrestore.types import Frame
from vidrestore.verify import verify

Change = Callable[[Iterable[Frame]], Iterable[Frame]]


def pictures(folder: Path, *, count: int) -> None:
    """Write 16-bit images of 96 x 48 px."""
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = rng.integers(0, 65536, (48, 96, 3), dtype=np.uint16)
        cv2.imwrite(str(folder / f"frame_{number + 1:04}.png"), picture)


def test_a_faithful_result_verifies(rich: Path, tmp_path: Path) -> None:
    result = restored_copy(rich, tmp_path / "r.mkv", with_faces)

    verification = verify(rich, result, evidence_paths=[record_of(rich, tmp_path / "r.jsonl")])

    assert changed_names(verification) == []
    assert verification.kept
    assert {check.name: check.result for check in verification.checks} == dict.fromkeys(
        [
            "frames",
            "timestamps",
            "duration",
            "size",
            "pixel format",
            "color tags",
            "field order",
            "rotation",
            "aspect",
            "streams",
            "stream 1 (audio, flac, eng)",
            "stream 2 (audio, flac, Comment)",
            "stream 3 (subtitle, subrip, deu)",
            "stream 4 (attachment, font.ttf, font.ttf)",
            "tags",
            "dispositions",
            "chapters",
            "side data",
            "samples outside masks",
            "record",
        ],
        "kept",
    )
    assert find_check(verification, "frames").detail == "50 frames"
    assert find_check(verification, "chapters").detail == "2 chapters"
    assert "sha256" in find_check(verification, "stream 2").detail


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (
            partial(without, indexes=(20,)),
            "frames",
            "50 in the source, 49 in the result; 1 missing, first frame 20 at 0.800 s",
        ),
        (partial(without, indexes=(0,)), "frames", "1 missing, first frame 0 at 0.000 s"),
        (partial(without, indexes=(49,)), "frames", "1 missing, first frame 49 at 1.960 s"),
        (partial(without, indexes=(7, 8, 9)), "frames", "3 missing, first frame 7 at 0.280 s"),
        (
            partial(with_repeated_frame, index=20),
            "frames",
            "50 in the source, 51 in the result; 1 extra, first frame 21 at 0.820 s",
        ),
        (
            partial(with_moved_frame, index=20, ticks=1),
            "timestamps",
            "1 frame moved; first frame 20 of the source at 0.800 s, in the result at 0.801 s",
        ),
        (
            partial(with_moved_frame, index=49, ticks=300),
            "timestamps",
            "1 frame moved; first frame 49",
        ),
        (
            partial(with_sample, index=9, plane=0, x=61, y=30),
            "samples outside masks",
            "1 sample in 1 frame; first frame 9, plane Y, x 61, y 30: ",
        ),
        (
            partial(with_sample, index=9, plane=1, x=31, y=20),
            "samples outside masks",
            "1 sample in 1 frame; first frame 9, plane U, x 31, y 20: ",
        ),
        (
            partial(with_sample, index=0, plane=2, x=9, y=20),
            "samples outside masks",
            "first frame 0, plane V, x 9, y 20: ",
        ),
    ],
)
def test_damaged_frames_are_found_with_their_place(
    rich: Path, tmp_path: Path, change: Change, name: str, message: str
) -> None:
    result = restored_copy(rich, tmp_path / "r.mkv", lambda frames: change(with_faces(frames)))

    verification = verify(rich, result, evidence_paths=[record_of(rich, tmp_path / "r.jsonl")])

    assert changed_names(verification) == [name]
    assert message in find_check(verification, name).detail
    assert not verification.kept


@pytest.mark.parametrize(("plane", "x", "y"), [(0, 20, 16), (0, 60, 40), (1, 30, 20), (2, 10, 8)])
def test_a_sample_inside_a_mask_may_change(
    rich: Path, tmp_path: Path, plane: int, x: int, y: int
) -> None:
    change = partial(with_sample, index=9, plane=plane, x=x, y=y)
    result = restored_copy(rich, tmp_path / "r.mkv", change)

    verification = verify(rich, result, evidence_paths=[record_of(rich, tmp_path / "r.jsonl")])

    assert changed_names(verification) == []
    # 41 x 25 px of 96 x 48.
    assert "masks cover 22.24 % of 50 frames" in find_check(verification, "samples").detail


def test_an_unrestored_face_may_not_change(rich: Path, tmp_path: Path) -> None:
    result = restored_copy(rich, tmp_path / "r.mkv", with_faces)
    record = record_of(rich, tmp_path / "r.jsonl", mask=None)

    verification = verify(rich, result, evidence_paths=[record])

    assert changed_names(verification) == ["samples outside masks"]
    assert (
        "in 50 frames; first frame 0, plane Y, x 20, y 16" in find_check(verification, "sam").detail
    )


def test_alpha_may_not_change_even_under_a_mask(tmp_path: Path) -> None:
    clip = Clip(codec="ffv1", pixel_format="yuva420p", options={})
    source = make_clip(tmp_path / "film.mkv", clip)
    change = partial(with_sample, index=3, plane=3, x=MASK[0] + 2, y=MASK[1] + 2)
    result = restored_copy(source, tmp_path / "r.mkv", lambda frames: change(with_faces(frames)))

    verification = verify(source, result, evidence_paths=[record_of(source, tmp_path / "r.jsonl")])

    assert changed_names(verification) == ["samples outside masks"]
    assert (
        "1 sample in 1 frame; first frame 3, plane alpha" in find_check(verification, "sam").detail
    )


@pytest.mark.parametrize(
    ("harm", "name", "message"),
    [
        ({"number": 3, "how": "flip"}, "stream 1", "packet 3 at 0.288 s has other bytes"),
        (
            {"number": 3, "how": "drop"},
            "stream 1",
            "21 packets in the source, 20 in the result; packet 3 at",
        ),
        ({"number": 0, "how": "drop"}, "stream 1", "packet 0 at 0.000 s has other bytes"),
        ({"number": 3, "how": "move"}, "stream 1", "packet 3 at 0.288 s is at 0.308 s"),
        ({"kind": "subtitle", "number": 1, "how": "flip"}, "stream 3", "packet 1 at 1.000 s"),
        (
            {"kind": "subtitle", "number": 1, "how": "drop"},
            "stream 3",
            "2 packets in the source, 1 in",
        ),
        ({"chapters": False}, "chapters", "2 in the source, 0 in the result"),
        ({"without_tag": "ARCHIVE_ID"}, "tags", "ARCHIVE_ID K-17 is missing"),
        ({"without_kind": "subtitle"}, "streams", "missing: stream 3 (subtitle, subrip, deu)"),
        ({"without_kind": "attachment"}, "streams", "missing: stream 4 (attachment"),
    ],
)
def test_damaged_copied_streams_are_found_with_their_place(
    rich: Path, rich_copy: Path, tmp_path: Path, harm: dict[str, object], name: str, message: str
) -> None:
    result = copy_damaged(rich_copy, tmp_path / "r.mkv", **harm)  # type: ignore[arg-type]

    verification = verify(rich, result)

    (broken,) = changed_names(verification)
    assert broken.startswith(name)
    assert message in find_check(verification, name).detail


def test_a_copy_of_the_result_verifies(rich: Path, rich_copy: Path, tmp_path: Path) -> None:
    assert verify(rich, copy_damaged(rich_copy, tmp_path / "r.mkv")).kept


def test_a_stream_dropped_on_request_is_not_reported_as_missing(
    rich: Path, rich_copy: Path, tmp_path: Path
) -> None:
    result = copy_damaged(rich_copy, tmp_path / "r.mkv", without_kind="subtitle")
    record = record_of(
        rich,
        tmp_path / "r.jsonl",
        header=lambda header: replace(header, settings={"drop_unsupported": True}),
    )

    verification = verify(rich, result, evidence_paths=[record])

    assert verification.kept
    assert find_check(verification, "streams").result == "not promised"


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mkv", "ffv1"), (".mkv", "h264"), (".mp4", "h264"), (".mov", "prores")]
)
def test_rounding_of_a_container_is_not_reported_as_damage(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    source = make_clip(
        tmp_path / "film.mp4",
        Clip(
            ticks=(0, 512, 1024, 1040, 2000, 2777, 3300, 4096),
            time_base=Fraction(1, 12800),
            last_duration_ticks=512,
            sounds=(Sound(seconds=Fraction(1, 3)),),
        ),
    )
    result = restored_copy(source, tmp_path / f"r{suffix}", codec=codec)

    verification = verify(source, result)

    assert changed_names(verification) == []
    # Its sound begins before 0, by the delay of its encoder.
    rounded = "rounded to the container's 0.001 s, all 0.021 s later"
    message = find_check(verification, "timestamps").detail
    assert message.startswith(rounded) if suffix == ".mkv" else message == "exact"


@pytest.mark.parametrize("samples", [1268, 1300])
def test_a_delay_shifts_all_streams_equally_for_any_rounding(tmp_path: Path, samples: int) -> None:
    # With the 1024 of the encoder, sound begins 47.75 or 48.4 ms before 0.
    sound = Sound(start_seconds=Fraction(-samples, 48_000), seconds=Fraction(1))
    source = make_clip(tmp_path / "film.mp4", Clip(sounds=(sound,)))
    result = restored_copy(source, tmp_path / "r.mkv")

    verification = verify(source, result)

    assert changed_names(verification) == []
    assert "all 0.048 s later" in find_check(verification, "timestamps").detail


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mkv", "flac"),
        (".mkv", "pcm_s16le"),
        (".mkv", "aac"),
        (".mov", "aac"),
        (".mov", "pcm_s16le"),
    ],
)
def test_a_time_range_is_compared_with_its_part_of_the_source(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    video = {"codec": "ffv1"} if suffix == ".mkv" else {"codec": "h264", "crf": 0}
    sounds = (Sound(codec=codec, seconds=Fraction(2)),)
    source = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(50)), sounds=sounds))
    part = {"start_seconds": 0.51, "end_seconds": 1.3}
    settings = {"start_seconds": "51/100", "end_seconds": "13/10"}
    result = restored_copy(source, tmp_path / f"r{suffix}", with_faces, **video, **part)
    record = record_of(
        source,
        tmp_path / "r.jsonl",
        codec=str(video["codec"]),
        header=lambda header: replace(header, settings=settings),
        **part,
    )

    verification = verify(source, result, evidence_paths=[record])

    assert changed_names(verification) == []
    assert find_check(verification, "frames").detail == "20 frames"
    assert "earlier" in find_check(verification, "timestamps").detail
    assert "frames" in changed_names(verify(source, result))


def test_a_frame_missing_from_a_time_range_is_found(rich: Path, tmp_path: Path) -> None:
    part = {"start_seconds": 0.5, "end_seconds": 1.3}
    result = restored_copy(rich, tmp_path / "r.mkv", partial(without, indexes=(4,)), **part)
    settings = {"start_seconds": "1/2", "end_seconds": "13/10"}
    record = record_of(
        rich,
        tmp_path / "r.jsonl",
        header=lambda header: replace(header, settings=settings),
        **part,
    )

    verification = verify(rich, result, evidence_paths=[record])

    assert changed_names(verification) == ["frames"]
    assert "1 missing, first frame 4" in find_check(verification, "frames").detail


def test_samples_of_a_lossy_result_are_measured_and_need_not_be_equal(
    rich: Path, tmp_path: Path
) -> None:
    result = restored_copy(rich, tmp_path / "r.mkv", codec="h264")

    verification = verify(rich, result)

    assert verification.kept
    check = find_check(verification, "samples outside masks")
    assert check.result == "not promised"
    assert "h264 is not lossless; PSNR" in check.detail


def test_samples_of_h264_must_be_equal_if_recorded_as_lossless(rich: Path, tmp_path: Path) -> None:
    record = record_of(rich, tmp_path / "r.jsonl", codec="h264")
    sound = restored_copy(rich, tmp_path / "a.mkv", with_faces, codec="h264", crf=0)
    lossy = restored_copy(rich, tmp_path / "b.mkv", with_faces, codec="h264", crf=1)

    assert find_check(verify(rich, sound, evidence_paths=[record]), "samples").result == "kept"
    assert changed_names(verify(rich, lossy, evidence_paths=[record])) == ["samples outside masks"]


def test_a_dnxhr_result_is_matched_with_its_record(tmp_path: Path) -> None:
    """FFmpeg calls the codec dnxhd, whichever of the two it is."""
    film = make_clip(tmp_path / "film.mkv", Clip(size_hw=(144, 256), ticks=tuple(range(5))))
    result = restored_copy(film, tmp_path / "result.mov", codec="dnxhr")

    def header(record_header: RecordHeader) -> RecordHeader:
        output = replace(record_header.output, pixel_format="yuv422p", lossless=False)
        return replace(record_header, output=output)

    record = record_of(film, tmp_path / "r.jsonl", mask=None, codec="dnxhr", header=header)
    assert verify(film, result, evidence_paths=[record]).kept


def test_without_a_record_samples_of_a_lossless_result_are_not_checked(
    rich: Path, tmp_path: Path
) -> None:
    verification = verify(rich, restored_copy(rich, tmp_path / "r.mkv", with_faces))

    assert verification.kept
    check = find_check(verification, "samples outside masks")
    assert check.result == "not checked"
    assert "pass the record of the run with --record" in check.detail


def test_samples_of_enlarged_results_are_not_checked(rich: Path, tmp_path: Path) -> None:
    result = restored_copy(rich, tmp_path / "r.mkv", with_faces)
    record = record_of(
        rich,
        tmp_path / "r.jsonl",
        mask=None,
        header=lambda header: replace(header, settings={"background": "x1.pth"}),
    )

    check = find_check(verify(rich, result, evidence_paths=[record]), "samples")
    assert check.result == "not promised"
    assert "x1.pth" in check.detail


@pytest.mark.parametrize("setting", [{"deinterlace": "field"}, {"pulldown": True}])
def test_frames_of_a_changed_frame_rate_are_not_checked(
    rich: Path, rich_copy: Path, tmp_path: Path, setting: dict[str, str | bool]
) -> None:
    def header(record_header: RecordHeader) -> RecordHeader:
        return replace(record_header, settings=setting)

    shorter = restored_copy(rich, tmp_path / "r.mkv", partial(without, indexes=(3, 4)))
    record = record_of(rich, tmp_path / "r.jsonl", header=header)

    verification = verify(rich, rich_copy, evidence_paths=[record])
    assert verification.kept
    assert find_check(verification, "frames").result == "not promised"
    assert find_check(verification, "stream 1").result == "kept"

    # But the record tells how many there must be.
    verification = verify(rich, shorter, evidence_paths=[record])
    assert changed_names(verification) == ["record"]
    assert "lists 50 frames, but the result has 48" in find_check(verification, "record").detail


@pytest.mark.parametrize("setting", [{"deinterlace": "auto"}, {"pulldown": False}])
def test_frames_are_checked_if_fields_are_kept(
    rich: Path, tmp_path: Path, setting: dict[str, str | bool]
) -> None:
    result = restored_copy(rich, tmp_path / "r.mkv", partial(without, indexes=(3,)))
    record = record_of(
        rich, tmp_path / "r.jsonl", header=lambda header: replace(header, settings=setting)
    )

    assert changed_names(verify(rich, result, evidence_paths=[record])) == ["frames"]


def test_the_record_of_another_film_is_reported(rich: Path, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other.mkv", Clip(ticks=tuple(range(50))))
    result = restored_copy(other, tmp_path / "r.mkv")
    record = record_of(rich, tmp_path / "r.jsonl")

    verification = verify(other, result, evidence_paths=[record])

    assert changed_names(verification) == ["record"]
    assert "describes a source of" in find_check(verification, "record").detail


@pytest.mark.parametrize(
    ("header", "part", "message"),
    [
        ({"coded_hw": (64, 96)}, {}, "describes a source of 96 x 64, but this one is 96 x 48"),
        ({"time_base": Fraction(1, 500)}, {}, "frame 1 is at 0.040000 s in the source"),
        ({}, {"end_seconds": 1.0}, "the record ends before frame 25"),
    ],
)
def test_a_record_that_does_not_match_is_reported(
    rich: Path,
    rich_copy: Path,
    tmp_path: Path,
    header: dict[str, object],
    part: dict[str, float],
    message: str,
) -> None:
    record = record_of(
        rich,
        tmp_path / "r.jsonl",
        header=lambda record_header: replace(record_header, **header),  # type: ignore[arg-type]
        **part,
    )

    verification = verify(rich, rich_copy, evidence_paths=[record])

    assert changed_names(verification) == ["record"]
    assert message in find_check(verification, "record").detail


def test_a_record_with_more_frames_than_the_film_is_reported(
    rich: Path, rich_copy: Path, tmp_path: Path
) -> None:
    record = record_of(rich, tmp_path / "r.jsonl")
    lines = record.read_text().splitlines()
    more = lines[-2].replace('"index":49,"pts":1960', '"index":50,"pts":2000')
    end = lines[-1].replace("50", "51")
    record.write_text("\n".join([*lines[:-1], more, end]) + "\n")

    verification = verify(rich, rich_copy, evidence_paths=[record])

    assert "the record has 1 frame more" in find_check(verification, "record").detail


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[20,16,61,41]", "[20,16,9999,41]", "line 2: faces[0].mask_xyxy"),
        ("[20,16,61,41]", "[20,16,-61,41]", "line 2: faces[0].mask_xyxy"),
        ('"settings":{}', '"settings":{"start_seconds":"1/0"}', "settings.start_seconds"),
        ('"settings":{}', '"settings":{"fps":"a lot"}', "settings.fps"),
    ],
)
def test_a_hostile_record_is_refused(
    rich: Path, rich_copy: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    record = record_of(rich, tmp_path / "r.jsonl")
    record.write_text(record.read_text().replace(old, new))

    with pytest.raises(RecordError) as caught:
        verify(rich, rich_copy, evidence_paths=[record])
    assert message in str(caught.value)


def test_a_truncated_record_is_refused(rich: Path, rich_copy: Path, tmp_path: Path) -> None:
    record = record_of(rich, tmp_path / "r.jsonl")
    record.write_bytes(record.read_bytes()[:-40])

    with pytest.raises(RecordError, match="the record is truncated"):
        verify(rich, rich_copy, evidence_paths=[record])


def test_image_sequences_are_compared_by_order_and_name(tmp_path: Path) -> None:
    source = tmp_path / "frames"
    source.mkdir()
    pictures(source, count=4)
    result = restored_copy(source, tmp_path / "restored")
    record = record_of(source, tmp_path / "r.jsonl", codec="png")

    verification = verify(source, result, evidence_paths=[record])
    assert changed_names(verification) == []
    assert find_check(verification, "names").detail == "4 images under the same name"
    assert find_check(verification, "samples").result == "kept"

    (result / "frame_0002.png").rename(result / "frame_0002b.png")
    verification = verify(source, result, evidence_paths=[record])
    assert changed_names(verification) == ["names"]
    assert "frame_0002.png became frame_0002b.png" in find_check(verification, "names").detail

    (result / "frame_0002b.png").unlink()
    verification = verify(source, result, evidence_paths=[record])
    assert "frames" in changed_names(verification)


def test_one_changed_bit_of_a_16_bit_image_outside_the_mask_is_found(tmp_path: Path) -> None:
    source = tmp_path / "frames"
    source.mkdir()
    pictures(source, count=2)
    change = partial(with_sample, index=1, plane=2, x=0, y=47)
    result = restored_copy(source, tmp_path / "restored", lambda frames: change(with_faces(frames)))
    record = record_of(source, tmp_path / "r.jsonl", codec="png")

    verification = verify(source, result, evidence_paths=[record])

    assert changed_names(verification) == ["samples outside masks"]
    assert "first frame 1, plane R, x 0, y 47" in find_check(verification, "samples").detail


def test_a_film_made_of_an_image_sequence_keeps_its_frames(tmp_path: Path) -> None:
    source = tmp_path / "frames"
    source.mkdir()
    pictures(source, count=4)
    result = restored_copy(source, tmp_path / "r.mkv")

    verification = verify(source, result)

    assert changed_names(verification) == []
    assert find_check(verification, "samples").detail == "all samples of 4 frames are identical"
    assert find_check(verification, "timestamps").result == "kept"


def test_an_image_sequence_made_of_a_film_is_checked_for_its_frames_only(
    rich: Path, tmp_path: Path
) -> None:
    result = restored_copy(rich, tmp_path / "restored")

    verification = verify(rich, result)

    assert verification.kept
    assert find_check(verification, "frames").result == "kept"
    assert find_check(verification, "streams").result == "not promised"
    assert find_check(verification, "samples").result == "not promised"

    (result / "frame_000050.png").unlink()
    assert changed_names(verify(rich, result)) == ["frames"]


def test_audio_of_a_transport_stream_is_compared_without_its_headers(tmp_path: Path) -> None:
    sounds = (Sound(codec="aac", seconds=Fraction(2), beeps_seconds=(Fraction(1),)),)
    made = make_clip(tmp_path / "made.mp4", Clip(ticks=tuple(range(50)), sounds=sounds))
    source = tmp_path / "film.ts"
    run_ffmpeg("-i", made, "-c", "copy", source)
    result = restored_copy(source, tmp_path / "r.mp4", codec="h264")

    verification = verify(source, result)

    assert changed_names(verification) == []
    assert "earlier" in find_check(verification, "timestamps").detail
    damaged = copy_damaged(result, tmp_path / "harmed.mp4", number=30, how="flip")
    assert [name[:8] for name in changed_names(verify(source, damaged))] == ["stream 1"]


def test_rotation_and_aspect_are_checked(tmp_path: Path) -> None:
    clip = Clip(rotation_degrees=90, sample_aspect_ratio=Fraction(16, 11))
    source = make_clip(tmp_path / "film.mp4", clip)
    plain = make_clip(tmp_path / "plain.mp4")

    assert verify(source, restored_copy(source, tmp_path / "r.mp4", codec="h264")).kept
    assert changed_names(verify(source, plain)) == ["rotation", "aspect"]


def test_hdr_metadata_is_checked(tmp_path: Path) -> None:
    options = {
        "x265-params": "log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)"
        "WP(15635,16450)L(10000000,50):max-cll=1000,400"
    }
    size = {"size_hw": (64, 96), "codec": "libx265", "pixel_format": "yuv420p10le"}
    source = make_clip(tmp_path / "film.mkv", Clip(options=options, **size))
    quiet = {"x265-params": "log-level=none"}
    dark = make_clip(tmp_path / "dark.mkv", Clip(options=quiet, **size))

    assert verify(source, source).kept
    verification = verify(source, dark)
    assert changed_names(verification) == ["side data"]
    assert "mastering display metadata is missing" in find_check(verification, "side data").detail
    assert "content light level is missing" in find_check(verification, "side data").detail


def test_a_report_is_distinguished_from_a_record_and_its_frame_count_checked(
    rich: Path, rich_copy: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"frames": 50, "scale": 1, "background": None, "faces": 3}))

    assert find_check(verify(rich, rich_copy, evidence_paths=[report]), "report").result == "kept"

    report.write_text(json.dumps({"frames": 51, "scale": 1, "background": None, "faces": 3}))
    assert changed_names(verify(rich, rich_copy, evidence_paths=[report])) == ["report"]


def test_a_report_that_names_other_weights_than_the_record_is_reported(
    rich: Path, rich_copy: Path, tmp_path: Path
) -> None:
    record, report = record_of(rich, tmp_path / "r.jsonl"), tmp_path / "report.json"
    fields = {"frames": 50, "scale": 1, "background": None, "checkpoint_sha256": "ab" * 32}

    for small, expected in (("cd" * 32, []), ("ef" * 32, ["report"]), (None, [])):
        report.write_text(json.dumps({**fields, "small_checkpoint_sha256": small}))
        verification = verify(rich, rich_copy, evidence_paths=[record, report])
        assert changed_names(verification) == expected
    report.write_text(json.dumps({**fields, "checkpoint_sha256": "ef" * 32}))
    verification = verify(rich, rich_copy, evidence_paths=[record, report])
    assert find_check(verification, "report").detail == "names other weights than the record"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"frames": "many"}', "\x00" * 100])
def test_a_file_that_is_neither_record_nor_report_is_refused(
    rich: Path, rich_copy: Path, tmp_path: Path, text: str
) -> None:
    report = tmp_path / "report.json"
    report.write_text(text)

    with pytest.raises(RecordError, match="is neither a record nor a report"):
        verify(rich, rich_copy, evidence_paths=[report])


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    def films(frames: int) -> tuple[Path, Path, Path]:
        sounds = (Sound(codec="flac", seconds=Fraction(frames, 25)),)
        source = make_clip(
            tmp_path / f"{frames}.mkv", Clip(ticks=tuple(range(frames)), sounds=sounds)
        )
        result = restored_copy(source, tmp_path / f"{frames}r.mkv")
        return source, result, record_of(source, tmp_path / f"{frames}.jsonl")

    def most_bytes(source: Path, result: Path, record: Path) -> int:
        tracemalloc.start()
        verification = verify(source, result, evidence_paths=[record])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert verification.kept
        return most

    short, long = films(50), films(300)
    most_bytes(*long)  # Python keeps a few thousand small tuples once there were so many
    frame_bytes = 48 * 96 * 3 // 2
    assert most_bytes(*long) - most_bytes(*short) < 25 * frame_bytes


def test_chapters_of_a_film_whose_audio_begins_below_0_are_kept(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    plain = make_rich_clip(tmp_path / "b", "rich.mp4")
    source = tmp_path / "film.mp4"
    run_ffmpeg("-i", plain, "-map", "0:v", "-map", "0:a", "-c", "copy", source)
    result = restored_copy(source, tmp_path / "r.mkv")

    verification = verify(source, result)

    assert "later" in find_check(verification, "timestamps").detail
    assert find_check(verification, "chapters").result == "kept"
    assert find_check(verification, "stream 1").result == "kept"
    assert find_check(verification, "stream 2").result == "kept"


def test_metadata_that_another_container_cannot_hold_is_not_checked(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv", Clip(metadata={"ARCHIVE_ID": "K-17"}))
    result = restored_copy(source, tmp_path / "r.avi")

    verification = verify(source, result)

    assert changed_names(verification) == []
    check = find_check(verification, "tags")
    assert check.result == "not promised"
    assert "ARCHIVE_ID K-17 is missing" in check.detail
