"""Logs losses, scores and images of a run; also to TensorBoard, and to Weights & Biases.

To TensorBoard wherever it is installed, to Weights & Biases where the config names a project.
"""

import importlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.errors import ConfigError


class TrainingLogger:
    """Writes ``log.jsonl``, ``previews/STEP.jpg`` and TensorBoard events into a run's folder."""

    def __init__(self, folder: Path, *, steps: int, wandb_project: str | None = None) -> None:
        """Open the log of a run of ``steps`` steps; an existing log is continued.

        Raises:
            ConfigError: A project is named, and ``wandb`` is not installed.
        """
        self._wandb = None if wandb_project is None else _open_wandb(folder, wandb_project)
        self._folder = folder
        self._steps = steps
        self._log = (folder / "log.jsonl").open("a", encoding="utf-8")
        self._tensorboard = _open_tensorboard(folder)
        self._sums: dict[str, Tensor | float] = {}
        """On the device until a line is written."""
        self._counts: dict[str, int] = {}
        self._start: tuple[int, float] | None = None
        """Step and time of the first loss terms."""

    def __enter__(self) -> Self:
        """Return the logger."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self._log.close()
        if self._tensorboard is not None:
            self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.finish()

    def add(self, terms: Mapping[str, Tensor | float], *, step: int) -> None:
        """Add the loss terms of one step."""
        if self._start is None:
            self._start = (step, time.monotonic())
        for key, value in terms.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._counts[key] = self._counts.get(key, 0) + 1

    def write(self, *, step: int) -> dict[str, float]:
        """Write and return the means since the last line, with speed and remaining time."""
        means = {key: total / self._counts[key] for key, total in fetched(self._sums).items()}
        self._sums.clear()
        self._counts.clear()
        line: dict[str, float] = {"step": step, **means}
        if self._start is not None:
            start_step, start_time = self._start
            speed = (step - start_step) / max(time.monotonic() - start_time, 1e-9)
            line["steps_per_second"] = speed
            line["hours_left"] = (self._steps - step) / max(speed, 1e-9) / 3600
        self._write_line(line)
        self._log_scalars(means, step=step)
        return line

    def log_scores(self, scores: Mapping[str, float], *, step: int) -> None:
        """Write the scores of a validation, if there are any."""
        if not scores:
            return
        named = {f"val/{key}": value for key, value in scores.items()}
        self._write_line({"step": step, **named})
        self._log_scalars(named, step=step)

    def log_images(self, images_NCHW: Tensor, *, columns: int, step: int) -> Path:
        """Write a grid of RGB images in [-1, 1], ``columns`` per row; return its path."""
        images = images_NCHW.detach().float().cpu().clamp(-1, 1).permute(0, 2, 3, 1).numpy()
        rows = [
            np.concatenate(list(images[index : index + columns]), axis=1)
            for index in range(0, len(images), columns)
        ]
        grid = np.rint((np.concatenate(rows) * 0.5 + 0.5) * 255).astype(np.uint8)
        path = self._folder / "previews" / f"{step:07d}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.ascontiguousarray(grid[:, :, ::-1]))
        if self._tensorboard is not None:
            self._tensorboard.add_image("preview", grid, step, dataformats="HWC")
        if self._wandb is not None:
            image = importlib.import_module("wandb").Image(str(path))
            self._wandb.log({"preview": image}, step=step)
        return path

    def _log_scalars(self, values: Mapping[str, float], *, step: int) -> None:
        if self._tensorboard is not None:
            for key, value in values.items():
                self._tensorboard.add_scalar(key, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def _write_line(self, line: Mapping[str, float]) -> None:
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()


def _open_wandb(folder: Path, project: str) -> Any:
    """Return the run of Weights & Biases of a folder: a resumed one goes on."""
    try:
        wandb = importlib.import_module("wandb")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "wandb_project is set, but wandb is not installed: pip install 'vidrestore[tracking]'"
        ) from error
    path = folder / "wandb_id"
    if not path.is_file():
        path.write_text(wandb.util.generate_id(), encoding="utf-8")
    run_id = path.read_text(encoding="utf-8").strip()
    return wandb.init(project=project, name=folder.name, id=run_id, resume="allow", dir=str(folder))


def fetched(terms: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Return the values of terms; the host waits for the device, once."""
    on_device = {key: term for key, term in terms.items() if isinstance(term, Tensor)}
    values = torch.stack([*on_device.values()]).cpu() if on_device else torch.zeros(0)
    return {
        **{key: term for key, term in terms.items() if not isinstance(term, Tensor)},
        **{key: float(value) for key, value in zip(on_device, values, strict=True)},
    }


def _open_tensorboard(folder: Path) -> Any:
    """Return TensorBoard's writer, or None if it is not installed."""
    try:
        importlib.import_module("tensorboard")
    except ModuleNotFoundError:
        return None
    return importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "events"))
