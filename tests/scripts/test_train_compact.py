"""Training of the network for whole images, in a tiny form."""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.faceclips import face_picture
from support.golden import ROOT, load_script, snapshot_state
from torch import nn

from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.weights.load import load_weights
from vidrestore.weights.metadata import read_metadata

train_compact: Any = load_script(ROOT / "scripts" / "train_compact.py")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), face_picture(number, (200, 260))[:, :, ::-1])
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_tiles_are_the_same_for_the_same_seed_and_vary(images: Path) -> None:
    first = list(train_compact.tiles(files(images), 12, seed=3))
    again = list(train_compact.tiles(files(images), 12, seed=3))

    assert len(first) == 12
    assert all(tensor.shape == (64, 64, 3) and tensor.dtype == np.uint8 for tensor in first)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({tile.tobytes() for tile in first}) == 12


def test_training_brings_a_student_nearer_to_its_teacher(images: Path) -> None:
    class Brighter(nn.Module):
        def forward(self, rgb_NCHW: torch.Tensor) -> torch.Tensor:
            return nn.functional.interpolate(rgb_NCHW, scale_factor=4.0, mode="nearest") * 0.5

    tiles, taught = train_compact.pairs(Brighter(), train_compact.tiles(files(images), 8, seed=0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        student = CompactUpscaler(features=8, convolutions=1)
    before = snapshot_state(student)
    trained = train_compact.train(student, tiles, taught, steps=150, batch=2, seed=0)

    def error(network: nn.Module) -> float:
        with torch.no_grad():
            result = network(tiles.float() / 255)
        return float(train_compact.distance(result, taught.float() / 255))

    untrained = CompactUpscaler(features=8, convolutions=1)
    untrained.load_state_dict(before)
    assert error(trained) < 0.8 * error(untrained)


def test_the_command_writes_weights_with_their_provenance(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, kept, target = (tmp_path / name for name in ("start", "pairs.pt", "out.safetensors"))
    state = {key: value * 0.5 for key, value in CompactUpscaler().state_dict().items()}
    save_file(state, start.with_suffix(".safetensors"))
    seen = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    torch.save((seen, seen.repeat(1, 1, 4, 4)), kept)
    arguments = [start.with_suffix(".safetensors"), images, "--target", target]
    arguments += ["--keep-pairs", kept, "--steps", 2, "--batch", 1]
    monkeypatch.setattr(sys, "argv", ["train_compact.py", *map(str, arguments)])
    threads = torch.get_num_threads()

    assert train_compact.main() == 0
    torch.set_num_threads(threads)
    load_weights(CompactUpscaler(), target)
    metadata = read_metadata(target)
    assert (metadata["model"], metadata["steps"]) == ("compact", "2")
    assert (ROOT / metadata["recipe"]).is_file()
