"""Where a run on one device is, and its checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.training.engine.checkpoint import read_checkpoint, save_checkpoint
from vidrestore.training.engine.loop import LAST
from vidrestore.training.engine.train_state import Part
from vidrestore.training.split_files import join_file, split_file


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a run is, and what it has made; with the parts, the whole checkpoint."""

    stage: int = 0
    step: int = 0
    """Within the stage."""
    done: int = 0
    """Steps of all stages."""
    spent_seconds: float = 0.0
    """Of the run, before this process."""
    stage_seconds: float = 0.0
    """What the stage was given; 0 where it has not begun."""
    stage_spent_seconds: float = 0.0
    state: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Averaged weights of the stage before."""
    ends: dict[str, dict[str, Tensor]] = field(default_factory=dict[str, dict[str, Tensor]])
    parts: Mapping[str, Any] | None = None
    """Of a stage that was cut off."""

    def save(
        self,
        folder: Path,
        parts: Mapping[str, Any] | None,
        *,
        spent_seconds: float,
        config: Mapping[str, Any],
    ) -> None:
        """Write ``last.pt``, which ``scripts/export.py`` understands, and its parts below 15 MB.

        Args:
            folder: Of the run.
            parts: State of every part of the stage; None between two stages.
            spent_seconds: Of the run so far.
            config: Of the run.
        """
        place = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "parts"}
        averaged = {"generator": {"network": self.state, "params_ema": self.state}}
        path = folder / LAST
        save_checkpoint(
            path,
            {
                "system": "lite",
                "config": dict(config),
                "step": self.done,
                "parts": averaged if parts is None else dict(parts),
                "place": place | {"spent_seconds": spent_seconds},
            },
        )
        split_file(path)


def resumed_place(folder: Path) -> Place | None:
    """Return where the run in a folder is; None where there is none.

    Raises:
        WeightsError: The checkpoint or a part of it is damaged, or of another kind of run.
    """
    path, listed = folder / LAST, folder / f"{LAST}.parts.json"
    if not path.exists():
        if not listed.exists():
            return None
        join_file(listed)
    saved = read_checkpoint(path)
    try:
        place = Place(**saved["place"])
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{path}: of another kind of run; train in another folder") from error
    place.parts = saved["parts"] if place.step else None
    return place


def load_parts(parts: Mapping[str, Part], saved: Mapping[str, Any], path: Path) -> None:
    """Load the parts of a stage that was cut off.

    Raises:
        WeightsError: They were saved by a run with other stages.
    """
    try:
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    except (KeyError, RuntimeError, ValueError) as error:  # how torch tells a misfit
        found = shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
        raise WeightsError(
            f"{path}: of a run with other stages ({found}); resume it with its own config, or "
            "train in another folder"
        ) from error
