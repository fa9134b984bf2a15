"""State of a run that random draws and schedules depend on."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Step, seed, rank and device of a run."""

    step: int
    steps: int
    """Steps of the whole run."""
    seed: int
    rank: int
    """Number of this process."""
    device: torch.device

    def generator(self, stream: int) -> torch.Generator:
        """Return a generator that depends on seed, step, rank and stream alone.

        Args:
            stream: Number that separates independent draws of one step.
        """
        words = np.random.SeedSequence((self.seed, self.step, self.rank, stream))
        return torch.Generator(self.device).manual_seed(int(words.generate_state(1)[0]))

    def is_due(self, interval: int) -> bool:
        """Return whether this step computes a term that is due every ``interval`` steps."""
        return self.step % interval == 0
