"""Two processes do what one does: gradients, statistics and losses of every kind of task."""

import json
import os
import socket
import warnings
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.regression import CPU, Regression, run
from support.runs import BATCH, SMALL, TASK_OF, data, small_config, with_clips, write_faces
from torch import Tensor

from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.distributed import init_distributed
from vidrestore.training.engine.run import train

REGRESSION = "regression"
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
        settings = with_clips(lambda _: settings)(root)
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
        for server in sockets:
            server.bind(("127.0.0.1", 0))
        return [server.getsockname()[1] for server in sockets]


def train_all(root: Path, target: Path, ports: list[int]) -> None:
    """Train every system, by as many processes as the environment names."""
    torch.set_num_threads(1)  # a forked process has no others
    for name, port in zip((*SYSTEMS, REGRESSION), ports, strict=True):
        os.environ["MASTER_PORT"] = str(port)
        if name == REGRESSION:
            target.mkdir(parents=True, exist_ok=True)
            with init_distributed(CPU) as context:
                run(Regression(micro=2), target / name, steps=4, context=context)
        else:
            train_one(name, root, target)


def train_as(rank: int, *arguments: Any) -> None:
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "RANK": str(rank)}
    train_all(*arguments)


@pytest.fixture(scope="module")
def runs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of the runs of one process and of two."""
    folder = tmp_path_factory.mktemp("runs")
    ports = free_ports(len(SYSTEMS) + 1)
    train_all(root, folder / "one", ports)
    # Forked: to import everything twice takes longer than to train.
    fork = get_context("fork")
    processes = [
        fork.Process(target=train_as, args=(rank, root, folder / "two", ports)) for rank in range(2)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for process in processes:
            process.start()
    for process in processes:
        process.join(timeout=300)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    return folder / "one", folder / "two"


def gradients(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the last gradients: without a first decay they are Adam's first moments."""
    return {
        f"{name} {index}": instants["exp_avg"]
        for name, network in state["networks"].items()
        for index, instants in network["optimizer"]["state"].items()
    }


def statistics(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return what batch normalization and spectral norms keep."""
    return {
        f"{name} {key}": value
        for name, network in state["networks"].items()
        for key, value in network["network"].items()
        if key.endswith(STATISTICS)
    }


def first_logged_terms(folder: Path) -> dict[str, float]:
    line = json.loads((folder / "log.jsonl").read_text().splitlines()[0])
    return {key: line[key] for key in line.keys() - {"steps_per_second", "hours_left"}}


@pytest.mark.parametrize("name", SYSTEMS)
def test_two_processes_give_the_result_of_one(name: str, runs: tuple[Path, Path]) -> None:
    one, two = (read_checkpoint(folder / name / "last.pt") for folder in runs)
    actual = gradients(two)
    for key, gradient in gradients(one).items():
        largest = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(actual[key], gradient, atol=TOLERANCE * largest, rtol=0, msg=key)
    for key, buffer in statistics(one).items():
        torch.testing.assert_close(statistics(two)[key], buffer, atol=TOLERANCE, rtol=0, msg=key)
    terms, found_terms = (first_logged_terms(folder / name) for folder in runs)
    assert found_terms == pytest.approx(terms, rel=TOLERANCE, abs=TOLERANCE)
    assert len(terms) >= 2


def test_two_processes_train_for_several_steps_like_one_and_one_of_them_logs(
    runs: tuple[Path, Path],
) -> None:
    one, two = (read_checkpoint(folder / REGRESSION / "last.pt") for folder in runs)
    for key, value in one["networks"]["net"]["network"].items():
        torch.testing.assert_close(two["networks"]["net"]["network"][key], value, atol=1e-6, rtol=0)
    lines = (runs[1] / REGRESSION / "log.jsonl").read_text().splitlines()
    assert sum('"mse"' in line for line in lines) == 2
