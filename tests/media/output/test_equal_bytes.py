"""The same frames give the same bytes, whatever memory held before."""

import secrets
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip

from vidrestore.media.input.source import open_source
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.open_output import open_output

RUNS = 5


def moving_texture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a texture that moves, changes and gets brighter: the encoder must look ahead."""
    moved = np.roll(_texture(size_hw), (2 * number, 5 * number), (0, 1)).astype(np.float32)
    fresh = np.random.default_rng(number).normal(0, 6, (*size_hw, 1))
    return np.clip(moved + fresh + number, 0, 255).astype(np.uint8)


@cache
def _texture(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 1, (*size_hw, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(110 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("width_px", [400, 720])
def test_equal_frames_give_equal_bytes(tmp_path: Path, codec: str, width_px: int) -> None:
    """Both widths are an odd number of macroblocks."""
    film = make_clip(
        tmp_path / "film.mkv",
        Clip(size_hw=(400, width_px), ticks=tuple(range(40)), picture=moving_texture),
    )
    memory: list[bytes] = []
    results: set[bytes] = set()
    for run in range(RUNS):
        memory.append(secrets.token_bytes(10_000 + 7_777 * run))
        target = tmp_path / f"{run}.mkv"
        settings = EncoderSettings(codec=codec)
        with (
            open_source(film) as source,
            open_output(target, info=source.info, source_path=film, settings=settings) as output,
        ):
            writer = output.open_segment(tmp_path / f"{run}.segment")
            for frame in source:
                writer.write(frame)
            output.assemble([writer.finish()])
        results.add(target.read_bytes())

    assert len(results) == 1
