"""Where a run is: all that its random draws and schedules depend on."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One step of a run, in one process."""

    step: int
    steps: int
    """Of the whole run."""
    seed: int
    rank: int
    device: torch.device

    def generator(self, purpose: int) -> torch.Generator:
        """Return randomness for one purpose of this step: the same after a resume.

        Args:
            purpose: Tells draws of one step apart.
        """
        words = np.random.SeedSequence((self.seed, self.step, self.rank, purpose))
        return torch.Generator(self.device).manual_seed(int(words.generate_state(1)[0]))

    def is_due(self, every: int) -> bool:
        """Whether something lazy, done every so many steps, is done in this one."""
        return self.step % every == 0
