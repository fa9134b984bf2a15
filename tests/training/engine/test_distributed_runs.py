"""Two processes do what one does: gradients, statistics and losses of every kind of task."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.runs import BATCH, SMALL, TASK_OF, data, small_config, write_faces
from torch import Tensor

from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.run import train

SYSTEMS = ("stylegan2", "parser", "gfpgan", "lite-by-crops")
TOLERANCE = 1e-5
STATISTICS = ("running_mean", "running_var", "weight_u", "weight_v", "._u", "._v")


def train_one(name: str, root: Path, target: Path) -> None:
    folder = target / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = SMALL[name](root)
    if name == "stylegan2":  # four samples a micro-batch: path lengths of one in each process
        settings["batch"] = {"size": 8, "accumulation_steps": 2, "num_workers": 0}
    if name == "lite-by-crops":
        settings["data"] = data(root, min_resolution_ratio=0.5)
        settings |= {"crop_px": 32, "texture_px": 32, "batch": BATCH}
    if name == "gfpgan":  # what is drawn for the generator
        settings["loss_weights"] |= dict.fromkeys(
            ("adversarial", "component", "component_style"), 0.0
        )
    if "loss_weights" in settings:
        settings["loss_weights"] |= {"identity": 0.0}
    changes = {"steps": 1, "log_every": 1, TASK_OF[name]: settings}
    train(small_config(name, root, **changes), folder=folder, device="cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unequal faces, so that the parts of a batch differ: one is blurred, one hardly labeled."""
    root = write_faces(tmp_path_factory.mktemp("data"))
    table = root / "faces" / "faces.tsv"
    rows = table.read_text().splitlines()
    rows[1] = rows[1].replace("\t128\t", "\t50\t")
    table.write_text("\n".join(rows) + "\n")
    labels = np.full((128, 128), 255, np.uint8)
    labels[:20] = 3
    cv2.imwrite(str(root / "faces" / "2_mask.png"), labels)
    return root


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def runs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of the runs of one process and of two."""
    folder = tmp_path_factory.mktemp("runs")
    for name in SYSTEMS:
        train_one(name, root, folder / "one")
    script = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]!r}
from pathlib import Path
from test_distributed_runs import SYSTEMS, train_one

for name, port in zip(SYSTEMS, {free_ports(len(SYSTEMS))}, strict=True):
    os.environ["MASTER_PORT"] = str(port)
    train_one(name, Path({str(root)!r}), Path({str(folder / "two")!r}))
"""
    shared = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=shared | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    messages = [each.communicate()[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], messages[0][-2000:] + messages[1][-2000:]
    return folder / "one", folder / "two"


def gradients(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the last gradients: without a first decay they are Adam's first moments."""
    return {
        f"{name} {index}": moments["exp_avg"]
        for name, network in state["networks"].items()
        for index, moments in network["optimizer"]["state"].items()
    }


def statistics(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return what batch normalization and spectral norms keep."""
    return {
        f"{name} {key}": value
        for name, network in state["networks"].items()
        for key, value in network["network"].items()
        if key.endswith(STATISTICS)
    }


def logged_terms(folder: Path) -> dict[str, float]:
    line = json.loads((folder / "log.jsonl").read_text().splitlines()[0])
    return {key: line[key] for key in line.keys() - {"steps_per_second", "hours_left"}}


@pytest.mark.parametrize("name", SYSTEMS)
def test_two_processes_do_what_one_does(name: str, runs: tuple[Path, Path]) -> None:
    one, two = (read_checkpoint(folder / name / "last.pt") for folder in runs)
    found = gradients(two)
    for key, gradient in gradients(one).items():
        largest = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(found[key], gradient, atol=TOLERANCE * largest, rtol=0, msg=key)
    for key, buffer in statistics(one).items():
        torch.testing.assert_close(statistics(two)[key], buffer, atol=TOLERANCE, rtol=0, msg=key)
    terms, found_terms = (logged_terms(folder / name) for folder in runs)
    assert found_terms == pytest.approx(terms, rel=TOLERANCE, abs=TOLERANCE)
    assert len(terms) >= 2
