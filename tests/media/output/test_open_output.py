import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.clips import Clip, Sound, make_clip, make_rich_clip
from support.programs import run_python
from support.video_copies import copy_video, frames_of, write_output

from vidrestore.errors import MediaError, UnsupportedStreamError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.video_info import probe
from vidrestore.media.output.open_output import open_output
from vidrestore.types import Frame


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("target", ["out.mkv", "out.mp4", "out"])
@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_a_failed_run_leaves_no_files(
    tmp_path: Path, target: str, problem: type[BaseException]
) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(sounds=(Sound(),)))
    before = names_in(tmp_path)

    def frames() -> Iterator[Frame]:
        yield from frames_of(path)[:5]
        raise problem

    with pytest.raises(problem):
        write_output(tmp_path / target, frames(), info=probe(path), source_path=path)
    assert names_in(tmp_path) == before


@pytest.mark.parametrize("target", ["out.mkv", "out"])
def test_the_final_name_appears_only_at_the_end(tmp_path: Path, target: str) -> None:
    path = make_clip(tmp_path / "film.mkv")
    segments = tmp_path / ".segments"
    segments.mkdir()
    with open_output(tmp_path / target, info=probe(path), source_path=path) as output:
        writer = output.open_segment(segments / "0")
        for frame in frames_of(path):
            writer.write(frame)
        output.assemble([writer.finish()])
        assert not (tmp_path / target).exists()
        hidden = names_in(tmp_path) - {"film.mkv"}
        assert all(name.startswith(".") for name in hidden)
    shutil.rmtree(segments)
    assert names_in(tmp_path) == {"film.mkv", target}


@pytest.mark.parametrize("target", ["out.mkv", "out"])
def test_an_output_that_is_not_assembled_is_not_published(tmp_path: Path, target: str) -> None:
    path = make_clip(tmp_path / "film.mkv")
    with open_output(tmp_path / target, info=probe(path), source_path=path):
        pass
    assert names_in(tmp_path) == {"film.mkv"}


def test_a_failed_run_keeps_the_existing_file(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")
    target = tmp_path / "out.mkv"
    target.write_bytes(b"precious")

    def frames() -> Iterator[Frame]:
        yield frames_of(path)[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_output(target, frames(), info=probe(path), source_path=path, overwrite=True)
    assert target.read_bytes() == b"precious"


def test_an_existing_file_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")
    target = tmp_path / "out.mkv"
    target.write_bytes(b"old")
    with pytest.raises(MediaError, match=r"out\.mkv: already exists; .*--overwrite"):
        copy_video(path, target)
    assert target.read_bytes() == b"old"

    copy_video(path, target, overwrite=True)

    assert len(frames_of(target)) == 12


def test_an_existing_folder_keeps_its_other_files(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(ticks=(0, 1)))
    target = tmp_path / "out"
    target.mkdir()
    copy_video(path, target)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(MediaError, match="exists"):
        copy_video(path, target)

    copy_video(path, target, overwrite=True)

    assert names_in(target) == {"frame_000001.png", "frame_000002.png", "notes.txt"}


@pytest.mark.parametrize("link", ["same", "symlink", "hardlink", "dotted"])
def test_the_source_is_never_overwritten(tmp_path: Path, link: str) -> None:
    path = make_clip(tmp_path / "film.mkv")
    target = tmp_path / "other.mkv"
    if link == "same":
        target = path
    elif link == "symlink":
        target.symlink_to(path)
    elif link == "hardlink":
        target.hardlink_to(path)
    else:
        (tmp_path / "sub").mkdir()
        target = tmp_path / "sub" / ".." / "film.mkv"
    before = path.read_bytes()
    with pytest.raises(MediaError, match="source and output are the same file"):
        copy_video(path, target, overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("out.xyz", r"unknown file extension '\.xyz'; use one of \.mp4"),
        ("out.png", "a video cannot be written to one image"),
        ("missing/out.mkv", r"the folder .*missing does not exist"),
    ],
)
def test_invalid_outputs_are_refused_before_restoring(
    tmp_path: Path, target: str, message: str
) -> None:
    path = make_clip(tmp_path / "film.mkv")
    with pytest.raises(MediaError, match=message):
        copy_video(path, tmp_path / target)
    assert names_in(tmp_path) == {"film.mkv"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_refused_at_once(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(MediaError, match="no permission"):
        copy_video(path, locked / "out.mkv")


@pytest.mark.parametrize(
    ("target", "stream"),
    [("out.mp4", r"stream 3 \(subtitle, subrip, deu\)"),
     ("out.avi", r"stream 1 \(audio, flac, eng\)"),
     ("out.ts", r"stream 1 \(audio, flac, eng\)")],
)  # fmt: skip
def test_a_stream_the_container_cannot_hold_is_refused_before_restoring(
    tmp_path: Path, target: str, stream: str
) -> None:
    path = make_rich_clip(tmp_path)
    before = names_in(tmp_path)
    with pytest.raises(UnsupportedStreamError, match=f"does not support {stream}") as refused:
        copy_video(path, tmp_path / target, codec="h264")
    assert "use -o out.mkv or --drop-unsupported" in str(refused.value)
    assert names_in(tmp_path) == before


def test_dropped_streams_are_noted(tmp_path: Path) -> None:
    path = make_rich_clip(tmp_path)
    notes = copy_video(path, tmp_path / "out.mp4", codec="h264", drop_unsupported=True)
    assert len(frames_of(tmp_path / "out.mp4")) == 50
    assert [note for note in notes if "dropped" in note and "subrip" in note]
    assert [note for note in notes if "dropped" in note and "font.ttf" in note]


def test_a_codec_the_container_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")
    with pytest.raises(
        UnsupportedStreamError, match=r"\.mp4 does not support prores video; use -o"
    ):
        copy_video(path, tmp_path / "out.mp4", codec="prores")
    with pytest.raises(UnsupportedStreamError, match=r"\.webm does not support h264 video"):
        copy_video(path, tmp_path / "out.webm", codec="h264")


FULL_DISK = """
import resource, sys
from pathlib import Path
from support.video_copies import copy_video
from vidrestore.errors import MediaError
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    copy_video(Path(sys.argv[1]), Path(sys.argv[2]), codec=sys.argv[3])
except MediaError as error:
    print(error)
"""


@pytest.mark.parametrize(("target", "codec"), [("out.mkv", "ffv1"), ("out.mov", "prores")])
def test_a_full_disk_is_a_one_line_error(tmp_path: Path, target: str, codec: str) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(size_hw=(240, 320)))
    run = run_python("-c", FULL_DISK, path, tmp_path / target, codec)
    assert run.stderr == ""
    assert run.stdout.startswith(f"{tmp_path / target}: larger than the file system allows")
    assert names_in(tmp_path) == {"film.mkv"}


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "no space left on the device"), (errno.EACCES, "permission denied")],
)
def test_operating_system_errors_say_what_to_do(number: int, message: str) -> None:
    with (
        pytest.raises(MediaError, match=rf"film\.mkv: {message}; "),
        media_errors(Path("film.mkv"), "write"),
    ):
        raise OSError(number, os.strerror(number))


def test_frames_of_another_shape_are_refused_by_the_encoder(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "one.mkv")
    two = make_clip(tmp_path / "two.mkv", Clip(size_hw=(64, 128)))

    with pytest.raises(MediaError, match="128x64 yuv420p, the video 96x48 yuv420p"):
        write_output(tmp_path / "out.mkv", frames_of(two), info=probe(one), source_path=one)


def test_a_film_is_written_as_numbered_upright_images(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4", Clip(ticks=(0, 1, 2), rotation_degrees=-90))

    copy_video(path, tmp_path / "out")

    pictures = frames_of(tmp_path / "out")
    assert [frame.source_name for frame in pictures] == [
        f"frame_{index:06d}.png" for index in (1, 2, 3)
    ]
    (film,) = frames_of(path)[:1]
    assert pictures[0].coded_hw == film.coded_hw[::-1]
    coded = film.planes[0].astype(float)
    upright = np.mean([plane.astype(float) for plane in pictures[0].planes], axis=0)
    assert np.corrcoef(np.rot90(coded, k=-1).ravel(), upright.ravel())[0, 1] > 0.9
