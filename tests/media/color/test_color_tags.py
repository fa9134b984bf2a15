"""What is noted as lost is what is lost: every container and codec that is written."""

from pathlib import Path

import pytest
from support.clips import run_ffmpeg
from support.verify_cases import changed_names
from support.video_copies import copy_video

from vidrestore.errors import MediaError
from vidrestore.media.color.color_tags import chroma_column
from vidrestore.media.input.video_info import VideoInfo, probe
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.media.output.encoder_table import ENCODERS
from vidrestore.verify import verify

TAGS = {
    "all": ("matrix=bt2020nc", "primaries=bt2020", "transfer=smpte2084", "range=tv"),
    "full range": ("matrix=bt709", "primaries=bt709", "transfer=bt709", "range=pc"),
    "matrix": ("matrix=smpte170m",),
    "transfer": ("transfer=smpte2084",),
    "range": ("range=pc",),
    "none": (),
}
FILTER = {
    "matrix": "colorspace", "primaries": "color_primaries", "transfer": "color_trc",
    "range": "range",
}  # fmt: skip
OPTION = {**FILTER, "range": "color_range"}


def tagged_film(path: Path, pixel_format: str, tags: tuple[str, ...], location: str) -> Path:
    pairs = [tag.split("=") for tag in tags]
    params = ":".join(f"{FILTER[name]}={value}" for name, value in pairs)
    options = [word for name, value in pairs for word in (f"-{OPTION[name]}", value)]
    picture = f"testsrc2=s=256x128:r=25:d=0.08,format={pixel_format}"
    run_ffmpeg("-f", "lavfi", "-i", f"{picture},setparams={params}" if params else picture,
               "-c:v", "ffv1", *options, "-chroma_sample_location", location, path)  # fmt: skip
    return path


def has_same_chroma(before: VideoInfo, after: VideoInfo) -> bool:
    return before.pixel_format.chroma_shift_xy == after.pixel_format.chroma_shift_xy


def lost_tags(before: VideoInfo, after: VideoInfo) -> set[str]:
    a, b = before.color, after.color
    lost: set[str] = set()
    # 5 and 6 are both BT.601.
    if a.matrix not in (0, 2, b.matrix) and {a.matrix, b.matrix} != {5, 6}:
        lost.add("matrix")
    if a.primaries not in (0, 2, b.primaries):
        lost.add("primaries")
    if a.transfer not in (0, 2, b.transfer):
        lost.add("transfer")
    if a.full_range != b.full_range:
        lost.add("range")
    columns = [chroma_column(info.color, info.pixel_format) for info in (before, after)]
    if has_same_chroma(before, after) and columns[0] > 1 and columns[0] != columns[1]:
        lost.add("chroma location")
    return lost


@pytest.mark.parametrize("name", TAGS)
@pytest.mark.parametrize(
    ("pixel_format", "location"),
    [("yuv420p", "topleft"), ("yuv422p", "center"), ("yuv422p10le", "left")],
)
def test_a_note_names_the_lost_tags_and_verify_accepts_their_loss(
    tmp_path: Path, name: str, pixel_format: str, location: str
) -> None:
    film = tagged_film(tmp_path / "film.mkv", pixel_format, TAGS[name], location)
    tried = 0
    for suffix in CONTAINERS.keys() - {".m4v", ".m2ts"}:
        for codec in ENCODERS:
            target = tmp_path / f"{codec}{suffix}"
            try:
                notes = copy_video(film, target, codec=codec)
            except MediaError:
                continue
            tried += 1
            result = lost_tags(probe(film), probe(target))
            message = [note for note in notes if "cannot store these color tags" in note]
            named = message[0].split(": ")[1].split(";")[0].split(", ") if message else []
            if not has_same_chroma(probe(film), probe(target)):
                named = [tag for tag in named if tag != "chroma location"]
            assert result == set(named), (suffix, codec)
            assert changed_names(verify(film, target)) == [], (suffix, codec)
    assert tried > 12


@pytest.mark.parametrize(("matrix", "stored"), [("bt709", 1), ("bt2020nc", 9), ("smpte170m", 6)])
def test_dnxhr_does_not_change_the_stated_matrix(tmp_path: Path, matrix: str, stored: int) -> None:
    tags = (f"matrix={matrix}", "primaries=smpte170m", "transfer=smpte170m")
    film = tagged_film(tmp_path / "film.mkv", "yuv422p", tags, "left")

    copy_video(film, tmp_path / "out.mov", codec="dnxhr")

    assert probe(tmp_path / "out.mov").color.matrix == stored
