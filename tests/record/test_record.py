import json
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support.records import make_face, make_frame, make_header, write_record

from vidrestore.errors import RecordError
from vidrestore.record import (
    EndRecord,
    FrameRecord,
    RecordReader,
    end_line,
    frame_line,
    header_line,
)


def read(path: Path) -> list[FrameRecord]:
    with RecordReader(path) as record:
        return list(record)


def with_fields(line: str, **fields: Any) -> str:
    return json.dumps(json.loads(line) | fields) + "\n"


def changed_face(**fields: Any) -> str:
    frame = json.loads(frame_line(make_frame()))
    frame["faces"][0] |= fields
    return json.dumps(frame) + "\n"


HEADER = header_line(make_header())
FRAME = frame_line(make_frame())
END = end_line(EndRecord(frames=1, faces=1))


def test_a_record_is_read_back_unchanged(tmp_path: Path) -> None:
    header = make_header(
        time_base=Fraction(1001, 30000),
        checkpoint_sha256=None,
        small_checkpoint_sha256=None,
        tiny_checkpoint_sha256=None,
        detail=None,
    )
    alone = make_face(
        mask_xyxy=None, strength=0.0, reason="too small", identity_similarity=None, crop_px=None
    )
    frames = [
        make_frame(0),
        make_frame(1, faces=()),
        make_frame(2, shot=1, faces=(alone, make_face(track=7, interpolated=True, reason=None))),
    ]
    path = write_record(tmp_path / "r.jsonl", header, frames)

    with RecordReader(path) as record:
        assert record.header == header
        assert record.end is None
        assert list(record) == frames
        assert record.end == EndRecord(frames=3, faces=3)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_record_of_an_earlier_version_is_read(tmp_path: Path, version: int) -> None:
    header = json.loads(HEADER) | {"schema": f"vidrestore-record/{version}"}
    missing = ["tiny_checkpoint_sha256"]
    if version < 3:
        missing.append("small_checkpoint_sha256")
    for name in missing:
        del header[name]
    frame = json.loads(FRAME)
    del frame["faces"][0]["crop_px"]
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(header) + "\n" + json.dumps(frame) + "\n" + END)

    with RecordReader(path) as record:
        assert record.header == make_header(**dict.fromkeys(missing))
        assert list(record) == [make_frame(faces=(make_face(crop_px=None),))]


def test_a_record_is_the_joined_lines_of_its_segments(tmp_path: Path) -> None:
    frames = [make_frame(0), make_frame(1)]
    text = write_record(tmp_path / "r.jsonl", make_header(), frames).read_text()

    parts = [header_line(make_header()), *map(frame_line, frames)]
    assert text == "".join(parts) + end_line(EndRecord(frames=2, faces=2))


def test_a_file_name_that_is_not_unicode_is_kept(tmp_path: Path) -> None:
    name = "fi\nlm\udcff\x1b[2J.mkv"
    header = make_header()
    source = type(header.source)(name=name)
    path = write_record(tmp_path / "r.jsonl", make_header(source=source), [])

    assert len(path.read_bytes().splitlines()) == 2
    with RecordReader(path) as record:
        assert record.header.source.name == name


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "line 1: the record is truncated"),
        (HEADER[:-1], "line 1: the record is truncated"),
        (HEADER + FRAME, "line 3: the record is truncated: its end line is missing"),
        (HEADER + FRAME[:80], "line 2: the record is truncated"),
        (FRAME + END, "line 1: expected the header"),
        (HEADER + HEADER + END, "line 2: a second header"),
        (HEADER + FRAME + END + FRAME, "line 4: text after the end"),
        (HEADER + END, "line 2: frames, faces: expected 0 and 0 as the lines above have"),
        (HEADER + FRAME + FRAME + END, "line 3: index: expected 1, got 0"),
        (HEADER + FRAME + frame_line(make_frame(1, pts=0)) + END, "line 3: pts: expected more"),
        ("{\n", "line 1: not JSON"),
        ("\n", "line 1: not JSON"),
        ("[1]\n", "line 1: expected an object, got [1]"),
        ("[" * 100_000 + "\n", "line 1: nested too deeply"),
        ('{"kind": NaN}\n', "NaN is not a number"),
        ('{"kind": "end", "kind": "end"}\n', "a name is repeated"),
        ('{"kind": "\x1b[2J"}\n', "line 1: not JSON"),
        ('{"kind": "\\u001b[2J"}\n', r"kind: expected header, frame or end"),
        ('{"kind": ' + "9" * 5000 + "}\n", "line 1: "),
        ('{"kind": "end", "frames": true, "faces": 0}\n', "frames: expected an integer"),
        (
            with_fields(HEADER, schema="vidrestore-record/5"),
            "schema: expected 'vidrestore-record/4'",
        ),
        (with_fields(HEADER, time_base="1/0"), "line 1: time_base: divides by 0"),
        (with_fields(HEADER, time_base="0/1"), "time_base: expected more than 0"),
        (with_fields(HEADER, time_base="-1/25"), 'time_base: expected "numerator/denominator"'),
        (with_fields(HEADER, coded_hw=[48, 10**12]), "coded_hw: expected sides of 1 to"),
        (with_fields(HEADER, coded_hw=[48]), "coded_hw: expected a list of 2"),
        (with_fields(HEADER, coded_hw=[48.0, 64]), "coded_hw[0]: expected an integer, got 48.0"),
        (
            with_fields(HEADER, checkpoint_sha256="xyz"),
            "checkpoint_sha256: expected 64 hexadecimal",
        ),
        (
            with_fields(HEADER, small_checkpoint_sha256="xyz"),
            "small_checkpoint_sha256: expected 64 hexadecimal",
        ),
        (
            with_fields(HEADER, checkpoint_sha256=None),
            "small_checkpoint_sha256: needs checkpoint_sha256",
        ),
        (
            with_fields(HEADER, tiny_checkpoint_sha256="xyz"),
            "tiny_checkpoint_sha256: expected 64 hexadecimal",
        ),
        (
            with_fields(HEADER, schema="vidrestore-record/2"),
            "small_checkpoint_sha256: unknown field",
        ),
        (
            with_fields(HEADER, schema="vidrestore-record/3"),
            "tiny_checkpoint_sha256: unknown field",
        ),
        (HEADER + changed_face(crop_px=100) + END, "faces[0].crop_px: expected 128, 256 or 512"),
        (HEADER + changed_face(crop_px="128") + END, "faces[0].crop_px: expected"),
        (with_fields(HEADER, settings={"a": [1]}), "settings.a: expected one value, got [1]"),
        (with_fields(HEADER, extra=1), "extra: unknown field"),
        (with_fields(HEADER, source={"name": "a"}), "source.size_bytes: missing"),
        (HEADER + changed_face(mask_xyxy=[0, 0, 65, 48]) + END, "line 2: faces[0].mask_xyxy"),
        (HEADER + changed_face(mask_xyxy=[0, 0, 10**30, 48]) + END, "faces[0].mask_xyxy"),
        (HEADER + changed_face(mask_xyxy=[-1, 0, 3, 4]) + END, "faces[0].mask_xyxy"),
        (HEADER + changed_face(mask_xyxy=[4, 0, 4, 4]) + END, "faces[0].mask_xyxy"),
        (HEADER + changed_face(strength=1.5) + END, "faces[0].strength: expected 0 to 1"),
        (
            HEADER + changed_face(strength="all") + END,
            'faces[0].strength: expected a number, got "',
        ),
        (HEADER + changed_face(score=None) + END, "faces[0].score: expected a number, got null"),
        (HEADER + changed_face(box_xyxy=[0, 0, 0, 5]) + END, "faces[0].box_xyxy: is empty"),
        (
            HEADER + changed_face(points_xy=[[0, 0]] * 4) + END,
            "points_xy: expected five finite points",
        ),
        (
            HEADER + changed_face(points_xy=[[0, 1e300]] * 5) + END,
            "points_xy[0][1]: number out of range",
        ),
        (HEADER + changed_face(identity_similarity=2) + END, "identity_similarity: expected -1"),
        (HEADER + changed_face(reason="") + END, "reason: expected 1 to"),
        (HEADER + with_fields(FRAME, faces=[3]) + END, "faces[0]: expected an object, got 3"),
        (
            HEADER + with_fields(FRAME, faces=json.loads(FRAME)["faces"] * 2) + END,
            "faces: tracks must",
        ),
        (HEADER + with_fields(FRAME, pts=2**70) + END, "pts: expected 64 bits"),
    ],
)
def test_a_hostile_record_is_refused_by_line_and_field(
    tmp_path: Path, lines: str, said: str
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(lines)

    with pytest.raises(RecordError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line ")
    assert said in message
    assert message.isprintable()
    assert len(message) < 400


def test_an_endless_line_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 30)

    tracemalloc.start()
    with pytest.raises(RecordError, match="longer than 16 MiB"):
        read(path)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 64 << 20


def test_a_record_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\xff\xfe\n")

    with pytest.raises(RecordError, match="line 1: not UTF-8 text at byte 0"):
        read(path)


def test_a_missing_record_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.jsonl: cannot be opened: No such file"):
        read(tmp_path / "none.jsonl")


def peak_bytes(path: Path, frames: int) -> int:
    write_record(path, make_header(), (make_frame(index) for index in range(frames)))
    tracemalloc.start()
    with RecordReader(path) as reader:
        assert sum(1 for _ in reader) == frames
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most_bytes


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    # Python itself keeps up to a few hundred kB of small tuples for later.
    short = peak_bytes(tmp_path / "short.jsonl", 100)
    long = peak_bytes(tmp_path / "long.jsonl", 2500)

    grown = (tmp_path / "long.jsonl").stat().st_size - (tmp_path / "short.jsonl").stat().st_size
    assert long - short < grown / 3


def test_a_record_without_its_last_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(HEADER + FRAME)

    with pytest.raises(RecordError, match="the record is truncated"):
        read(path)


def test_invalid_values_are_refused_before_writing() -> None:
    with pytest.raises(ValueError, match="luma_after: expected 0 to 255"):
        make_face(luma_after=300.0)
    with pytest.raises(ValueError, match="scale: expected 1 to 64"):
        make_header(scale=0)
    with pytest.raises(ValueError, match="expected 1 to 4096 characters"):
        make_header(model="")
