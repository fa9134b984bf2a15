"""Checkpoint of a run on one device: position, results, and the networks in training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.training.engine.checkpoint import VERSION, read_checkpoint, save_checkpoint
from vidrestore.training.engine.loop import CHECKPOINT_NAME, load_train_states, mismatch_error
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.split_files import join_file, split_file


@dataclass(slots=True, kw_only=True)
class RunCheckpoint:
    """Position of a run, its results, and the networks of an interrupted stage."""

    stage: int = 0
    step: int = 0
    """Number of steps of the current stage."""
    done: int = 0
    """Number of steps of all stages."""
    spent_seconds: float = 0.0
    """Time that earlier processes spent on the run."""
    stage_seconds: float = 0.0
    """Time of the stage; 0 before it starts."""
    stage_spent_seconds: float = 0.0
    state: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Averaged weights of the previous stage."""
    ends: dict[str, dict[str, Tensor]] = field(default_factory=dict[str, dict[str, Tensor]])
    networks: Mapping[str, Any] | None = None
    """Train states of an interrupted stage."""

    def save(
        self,
        folder: Path,
        networks: Mapping[str, Any] | None,
        *,
        spent_seconds: float,
        system: str,
        config: Mapping[str, Any],
    ) -> None:
        """Write ``last.pt``, which ``scripts/export.py`` reads, also in parts below 15 MB.

        Args:
            folder: The run's folder.
            networks: Train states of the stage; None between two stages.
            spent_seconds: Time spent on the run so far.
            system: Name of the network.
            config: Settings of the run.
        """
        fields = self.__dataclass_fields__
        position = {name: getattr(self, name) for name in fields if name != "networks"}
        averaged = {"generator": {"network": self.state, "params_ema": self.state}}
        path = folder / CHECKPOINT_NAME
        save_checkpoint(
            path,
            {
                "version": VERSION,
                "system": system,
                "config": dict(config),
                "step": self.done,
                "networks": averaged if networks is None else dict(networks),
                "position": position | {"spent_seconds": spent_seconds},
            },
        )
        split_file(path)


def read_run_checkpoint(folder: Path, system: str) -> RunCheckpoint | None:
    """Return the checkpoint of the run of a network in a folder, or None without one.

    Raises:
        WeightsError: The checkpoint or a part of it is damaged, or of another kind of run.
    """
    path, part_list = folder / CHECKPOINT_NAME, folder / f"{CHECKPOINT_NAME}.parts.json"
    if not path.exists():
        if not part_list.exists():
            return None
        join_file(part_list)
    saved = read_checkpoint(path)
    if saved.get("system", system) != system:
        raise WeightsError(f"{path}: of {saved['system']}, not {system}; train in another folder")
    try:
        checkpoint = RunCheckpoint(**saved["position"])
        checkpoint.networks = saved["networks"] if checkpoint.step else None
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{path}: of another kind of run; train in another folder") from error
    return checkpoint


def resume_stage(
    train_states: Mapping[str, TrainState], saved: Mapping[str, Any], path: Path
) -> None:
    """Load the networks of an interrupted stage.

    Raises:
        WeightsError: They do not match the stage.
    """
    try:
        load_train_states(train_states, saved)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise mismatch_error(path, error) from error
