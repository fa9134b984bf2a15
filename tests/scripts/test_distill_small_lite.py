"""Training of the weights for small crops, in a tiny form."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from support.faceclips import face_picture
from support.golden import ROOT, load_script
from torch import Tensor

from vidrestore.models.lite import build_lite
from vidrestore.weights.load import load_weights

distill: Any = load_script(ROOT / "scripts" / "distill_small_lite.py")


class Sample(NamedTuple):
    degraded: Tensor


@pytest.fixture(scope="module")
def faces() -> list[Sample]:
    image = torch.from_numpy(face_picture(1, (512, 512)).copy()).permute(2, 0, 1)
    return [Sample(image.float() / 127.5 - 1)]


def test_a_face_of_a_film_has_few_pixels_and_is_the_same_for_the_same_seed(
    faces: list[Sample],
) -> None:
    images = [
        distill.film_image(faces[0].degraded, np.random.default_rng(seed)) for seed in (1, 1, 2)
    ]
    assert np.array_equal(images[0], images[1])
    assert len({len(image) for image in images}) == 2
    assert all(90 <= len(image) <= 340 for image in images)


def test_the_crops_of_teacher_and_student_show_the_same(faces: list[Sample]) -> None:
    image = distill.film_image(faces[0].degraded, np.random.default_rng(0))
    large, small = (distill.crop_of(image, side) for side in (512, 256))
    averaged = torch.nn.functional.avg_pool2d(large[None], 2)[0]
    assert (averaged - small).abs().mean() < 0.02


def test_a_run_comes_nearer_to_its_teacher_and_continues(
    faces: list[Sample], tmp_path: Path
) -> None:
    ends = distill.read_ends()
    teacher = distill.Teacher(ends)

    def learn(run: Any, steps: int) -> list[tuple[float, float]]:
        """Return the position and the loss of every step."""
        samples = distill.batches(faces, teacher, count=1, batch=1, sharpen=0.0, start=run.step)
        return [
            (position, run.learn(crops, target, position=position, progress=0.0))
            for crops, target, position in (next(samples) for _ in range(steps))
        ]

    run = distill.Run(ends, lr=2e-3)
    losses: dict[float, list[float]] = {}
    for position, loss in learn(run, 5):
        losses.setdefault(position, []).append(loss)
    default = losses[0.95]
    assert len(default) > 1
    assert default[-1] < default[0]
    run.save(tmp_path)

    again = distill.Run(ends, lr=2e-3)
    again.restore(tmp_path)
    assert learn(again, 1) == learn(run, 1)
    load_weights(build_lite(), tmp_path / "lite_small.safetensors", detail=1.0)
