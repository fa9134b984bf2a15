"""Schedules as functions of the step: to resume, a run needs only the step."""

import math


def warmup_cosine_lr(step: int, *, peak_lr: float, warmup_steps: int, steps: int) -> float:
    """Rise linearly to ``peak_lr``, then fall along half a cosine to zero at ``steps``."""
    rise = min(1.0, (step + 1) / max(1, warmup_steps))
    progress = min(1.0, max(0.0, (step - warmup_steps) / max(1, steps - warmup_steps)))
    return peak_lr * rise * 0.5 * (1.0 + math.cos(math.pi * progress))


def ema_decay(step: int, *, decay: float) -> float:
    """Return a decay that is smaller in the first steps, when there is little to average."""
    return min(decay, (1 + step) / (10 + step))


def piecewise_lr(step: int, *, lr: float, milestones: tuple[int, ...], factor: float) -> float:
    """Multiply ``lr`` by ``factor`` at every milestone reached."""
    return lr * factor ** sum(step >= milestone for milestone in milestones)
