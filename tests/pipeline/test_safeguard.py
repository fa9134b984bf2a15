"""Faces that must not be restored, through the pipeline."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.video_copies import frames_of

from vidrestore import RestoreSettings, restore_video
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.media.input.source import open_source
from vidrestore.pipeline import setup
from vidrestore.types import Detection, Frame

FRAMES = 10


def make_film(folder: Path, picture: Any) -> Path:
    clip = Clip(size_hw=FACE_SIZE_HW, ticks=tuple(range(FRAMES)), picture=picture)
    return make_clip(folder / "film.mkv", clip)


def restore(film: Path, **settings: Any) -> tuple[list[Frame], list[dict[str, Any]]]:
    """Return the frames written, and the first face of each in the record."""
    chosen = RestoreSettings(
        codec="ffv1",
        device="cpu",
        precision="fp32",
        overwrite=True,
        record=film.with_suffix(".jsonl"),
        **settings,
    )
    target = film.with_name("restored.mkv")
    restore_video(film, target, settings=chosen)
    lines = [json.loads(line) for line in film.with_suffix(".jsonl").read_text().splitlines()]
    faces = [line["faces"][0] for line in lines if line["kind"] == "frame" and line["faces"]]
    with open_source(target) as source:
        return list(source), faces


def is_changed(first: Frame, other: Frame) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(first.planes, other.planes, strict=True))


class KnowingDetector:
    """Detects the face of the first frame in every frame, even if it is hidden."""

    has_fast_refine = True

    def __init__(self) -> None:
        searched = MtcnnDetector(packaged_mtcnn()).detect([face_picture(0, FACE_SIZE_HW)])
        self._face = searched[0][0]

    def detect(self, images: Sequence[np.ndarray]) -> list[tuple[Detection, ...]]:
        return [(self._face,) for _ in images]

    def refine(self, image: np.ndarray, predictions: Sequence[Detection]) -> list[Detection | None]:
        return [self._face for _ in predictions]


def half_hidden_face(_number: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Return a frame whose face has a white post before its left eye and cheek."""
    picture = face_picture(0, size_hw).copy()
    rng = np.random.default_rng(0)
    post = picture[25:210, 100:154]
    post[:] = rng.integers(200, 240, (*post.shape[:2], 1), dtype=np.uint8)
    return picture


def test_an_old_face_is_restored_in_full_and_its_similarity_recorded(
    tmp_path: Path,
) -> None:
    _, faces = restore(make_film(tmp_path, face_picture))

    assert len(faces) == FRAMES
    assert all(face["strength"] == 1.0 and face["reason"] is None for face in faces)
    assert all(face["identity_similarity"] > 0.8 for face in faces)


@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_a_half_hidden_face_is_unchanged_unless_the_safeguard_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strength: float
) -> None:
    monkeypatch.setattr(setup, "load_detector", lambda *_, **__: KnowingDetector())
    film = make_film(tmp_path, half_hidden_face)

    written, faces = restore(film, safeguard=strength)

    assert len(faces) == FRAMES
    pairs = zip(frames_of(film), written, strict=True)
    if strength:
        assert {face["reason"] for face in faces} == {"occluded"}
        assert all(face["strength"] == 0 and face["mask_xyxy"] is None for face in faces)
        assert not any(is_changed(*pair) for pair in pairs)
    else:
        assert all(face["strength"] == 1.0 for face in faces)
        assert all(is_changed(*pair) for pair in pairs)
