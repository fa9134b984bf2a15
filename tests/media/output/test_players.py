"""What players need besides the samples: names of codecs, and the index in front."""

from pathlib import Path

import av
import pytest
from support.clips import Clip, Sound, make_clip, run_ffmpeg
from support.video_copies import copy_video

from vidrestore.media.input.video_info import probe
from vidrestore.settings import CodecName


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_hevc_in_mp4_and_mov_has_the_tag_hvc1(tmp_path: Path, suffix: str) -> None:
    film = make_clip(tmp_path / "film.mkv")

    copy_video(film, tmp_path / f"out{suffix}", codec="h265")

    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
        assert len(list(container.decode(video=0))) == 12


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
@pytest.mark.parametrize("tags", [{}, {"ARCHIVE_ID": "K-17"}])
def test_the_index_of_mp4_and_mov_is_at_the_start(
    tmp_path: Path, suffix: str, tags: dict[str, str]
) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(sounds=(Sound(),), metadata=tags))
    target = tmp_path / f"out{suffix}"

    copy_video(film, target, codec="h264")

    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert tags.items() <= probe(target).metadata.items()


@pytest.mark.parametrize(("codec", "kept"), [("h264", False), ("ffv1", True)])
def test_the_alpha_tag_is_written_only_with_alpha(
    tmp_path: Path, codec: CodecName, kept: bool
) -> None:
    film = tmp_path / "film.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:d=1,format=yuva420p", "-c:v", "ffv1",
               "-metadata:s:v", "alpha_mode=1", film)  # fmt: skip

    copy_video(film, tmp_path / "out.mkv", codec=codec)

    with av.open(str(tmp_path / "out.mkv")) as container:
        tags = {key.lower() for key in container.streams.video[0].metadata}
        assert ("alpha_mode" in tags) == kept
