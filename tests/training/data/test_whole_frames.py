"""Frames that training reads show one instant each, whatever fields a film is made of."""

from pathlib import Path

import pytest
from support.clips import Clip, make_clip
from support.fields import combing, interlaced_clip, moving_picture, telecined_clip

from vidrestore.media.fields.deinterlace import DeinterlacedSource
from vidrestore.media.input.source import open_source
from vidrestore.training.data.whole_frames import open_whole_frames

SIZE_HW = (96, 128)


def combings(film: Path) -> list[float]:
    with open_whole_frames(film) as source:
        return [combing(frame.planes[0]) for frame in source]


@pytest.mark.parametrize("flagged", [True, False])
def test_an_interlaced_film_gives_frames_without_combing(flagged: bool, tmp_path: Path) -> None:
    film = interlaced_clip(
        tmp_path / "film.mkv", flagged=flagged, size_hw=SIZE_HW, ticks=tuple(range(20))
    )
    with open_source(film) as source:
        assert min(combing(frame.planes[0]) for frame in source) > 5
    values = combings(film)
    assert len(values) == 20
    assert max(values) < 0.5


def test_a_telecined_film_gives_its_own_frames(tmp_path: Path) -> None:
    values = combings(telecined_clip(tmp_path / "film.mkv", 40, size_hw=SIZE_HW))
    assert len(values) == 32
    assert max(values) < 0.5


def test_a_film_without_fields_is_read_as_it_is(tmp_path: Path) -> None:
    clip = Clip(size_hw=SIZE_HW, ticks=tuple(range(6)), picture=moving_picture)
    with open_whole_frames(make_clip(tmp_path / "film.mkv", clip)) as source:
        assert not isinstance(source, DeinterlacedSource)
        assert [frame.index for frame in source] == [*range(6)]
