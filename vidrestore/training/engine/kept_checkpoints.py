"""Which checkpoints of a run are kept beside the last one."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrestore.errors import ConfigError
from vidrestore.storage.atomic_output import partial_file
from vidrestore.storage.file_errors import file_errors

BEST_NAME = "best.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepConfig:
    """Checkpoints that are kept beside ``last.pt``; they take no time to write."""

    last: int = 0
    """Number of the latest to keep, as ``step_0001000.pt``; 0 keeps none."""
    best: str | None = None
    """Score of a validation, as the log names it without ``val/``: the checkpoint of the best is
    kept as ``best.pt``."""
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        if self.last < 0:
            raise ConfigError(f"keep.last must be >= 0, got {self.last}")


class KeptCheckpoints:
    """Keeps checkpoints of a run.

    Args:
        folder: Of the run.
        config: What to keep.
    """

    def __init__(self, folder: Path, config: KeepConfig) -> None:
        self._folder = folder
        self._config = config
        self._best: float | None = None

    def is_best(self, scores: Mapping[str, float]) -> bool:
        """Return whether scores are the best so far, and remember them.

        Raises:
            ConfigError: They lack the score to compare.
        """
        name = self._config.best
        if name is None:
            return False
        if name not in scores:
            raise ConfigError(
                f"keep.best: there is no score {name!r}; there are {', '.join(scores) or 'none'}"
            )
        better = self._best is None or (
            scores[name] > self._best
            if self._config.higher_is_better
            else scores[name] < self._best
        )
        if better:
            self._best = scores[name]
        return better

    def keep(self, checkpoint: Path, *, step: int, is_best: bool) -> None:
        """Keep a checkpoint that has just been written.

        Raises:
            MediaError: It cannot be copied.
        """
        if is_best:
            _copy(checkpoint, self._folder / BEST_NAME)
        if self._config.last:
            _copy(checkpoint, self._folder / f"step_{step:07d}.pt")
            for old in sorted(self._folder.glob("step_*.pt"))[: -self._config.last]:
                old.unlink()

    def state_dict(self) -> dict[str, Any]:
        """Return the best score so far."""
        return {"best": self._best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what ``state_dict`` returned."""
        self._best = state["best"]


def _copy(source: Path, target: Path) -> None:
    """Give a file a second name: the first one is replaced, never changed."""
    with file_errors(target, "write"), partial_file(target) as partial:
        try:
            os.link(source, partial)
        except OSError:  # not every file system has two names for a file
            shutil.copyfile(source, partial)
