"""Pairs of frames: neighbors of one clip, damaged alike, with a motion that is right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.runs import data, write_clips, write_faces

from vidrestore.errors import ConfigError
from vidrestore.toml_config import from_mapping
from vidrestore.training.data.clip_pairs import ClipPairs, ClipsConfig
from vidrestore.training.data.dataset import DatasetConfig
from vidrestore.training.losses.temporal import temporal_loss


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("films"))


def pairs(folder: Path, *, recipe: str = "none", seed: int = 0, **changes: Any) -> ClipPairs:
    recipes = [{"name": recipe, "probability": 1.0}]
    raw = data(folder, recipes=recipes, size_px=128, **changes)
    config = from_mapping(raw, DatasetConfig, where="test")
    return ClipPairs(ClipsConfig(folder=folder), config, seed=seed)


def test_the_motion_leads_from_the_second_frame_to_the_first(folder: Path) -> None:
    pair = pairs(folder, mirror=False, vary_exposure=False)[0]
    # The window moves by (4, -2) from frame to frame: what it shows comes from there.
    trusted = pair.weight > 0.5
    assert float(trusted.float().mean()) > 0.7
    median = pair.flow[trusted].median(dim=0).values
    np.testing.assert_allclose(median, [4, -2], atol=0.1)
    costs = [
        float(temporal_loss(pair.target[None, 0], frame[None], pair.flow[None], pair.weight[None]))
        for frame in (pair.target[1], pair.target[0], pair.target[1] + 0.2)
    ]
    assert costs[0] < 0.01
    assert min(costs[1:]) > 10 * costs[0]


def test_both_frames_have_one_mirror_one_color_and_one_degradation(folder: Path) -> None:
    dataset = pairs(folder, recipe="gfpgan", gray_probability=0.5)
    for number in range(6):
        pair = dataset[number]
        inside = pair.weight > 0.5
        means = pair.target.mean(dim=(2, 3))
        assert float((means[0] - means[1]).abs().max()) < 0.1
        # Blurred, compressed and enlarged alike: their errors are of one size.
        errors = (pair.degraded - pair.target).square().mean(dim=(1, 2, 3)).sqrt()
        assert float(errors.max()) < 1.5 * float(errors.min())
        assert float(inside.float().mean()) > 0.5, "a mirrored frame would not move with the other"


def test_a_pair_depends_on_seed_and_number_alone(folder: Path) -> None:
    first, second = pairs(folder, recipe="gfpgan"), pairs(folder, recipe="gfpgan")
    _ = first[1]
    assert all(torch.equal(*fields) for fields in zip(first[3], second[3], strict=True))
    assert not torch.equal(first[3].target, first[4].target)
    other = pairs(folder, recipe="gfpgan", seed=1)
    assert not torch.equal(first[3].degraded, other[3].degraded)
    assert len(first) == 6


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no clip of two or more frames.*--film FILM"):
        pairs(write_faces(tmp_path) / "faces")
