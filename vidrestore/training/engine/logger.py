"""Logs losses, scores and images of a run; also to TensorBoard, if it is installed."""

import importlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from torch import Tensor


class TrainingLogger:
    """Writes ``log.jsonl``, ``previews/STEP.jpg`` and TensorBoard events into a run's folder."""

    def __init__(self, folder: Path, *, steps: int) -> None:
        """Open the log of a run of ``steps`` steps; an existing log is continued."""
        self._folder = folder
        self._steps = steps
        self._log = (folder / "log.jsonl").open("a", encoding="utf-8")
        self._tensorboard = _open_tensorboard(folder)
        self._sums: dict[str, float] = {}
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

    def add(self, terms: Mapping[str, float], *, step: int) -> None:
        """Add the loss terms of one step."""
        if self._start is None:
            self._start = (step, time.monotonic())
        for key, value in terms.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._counts[key] = self._counts.get(key, 0) + 1

    def write(self, *, step: int) -> dict[str, float]:
        """Write and return the means since the last line, with speed and remaining time."""
        means = {key: self._sums[key] / self._counts[key] for key in self._sums}
        self._sums.clear()
        self._counts.clear()
        line: dict[str, float] = {"step": step, **means}
        if self._start is not None:
            start_step, start_time = self._start
            speed = (step - start_step) / max(time.monotonic() - start_time, 1e-9)
            line["steps_per_second"] = speed
            line["hours_left"] = (self._steps - step) / max(speed, 1e-9) / 3600
        self._write_line(line)
        if self._tensorboard is not None:
            for key, value in means.items():
                self._tensorboard.add_scalar(key, value, step)
        return line

    def log_scores(self, scores: Mapping[str, float], *, step: int) -> None:
        """Write the scores of a validation, if there are any."""
        if not scores:
            return
        self._write_line({"step": step, **{f"val/{key}": value for key, value in scores.items()}})
        if self._tensorboard is not None:
            for key, value in scores.items():
                self._tensorboard.add_scalar(f"val/{key}", value, step)

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
        return path

    def _write_line(self, line: Mapping[str, float]) -> None:
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()


def _open_tensorboard(folder: Path) -> Any:
    """Return TensorBoard's writer, or None if it is not installed."""
    try:
        importlib.import_module("tensorboard")
    except ModuleNotFoundError:
        return None
    return importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "events"))
