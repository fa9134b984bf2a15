"""State of a run that random draws and schedules depend on."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Step, seed and device of a run; the same in all its processes."""

    step: int
    steps: int
    """Steps of the whole run."""
    seed: int
    device: torch.device

    def generator(self, stream: int) -> torch.Generator:
        """Return a generator that depends on seed, step and stream alone.

        All processes draw the same; each takes its part (``DistributedContext.own_part``).

        Args:
            stream: Number that separates independent draws of one step.
        """
        # The 0 was the rank of the process: runs go on as they began.
        words = np.random.SeedSequence((self.seed, self.step, 0, stream))
        return torch.Generator(self.device).manual_seed(int(words.generate_state(1)[0]))

    def is_due(self, interval: int) -> bool:
        """Return whether this step computes a term that is due every ``interval`` steps."""
        return self.step % interval == 0
