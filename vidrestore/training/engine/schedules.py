"""Schedules as functions of the step: to resume, a run needs only the step."""

import math


def warmup_factor(step: int, *, warmup_steps: int) -> float:
    """Return the linear rise to 1 over the first steps."""
    return min(1.0, (step + 1) / max(1, warmup_steps))


def warmup_cosine_lr(step: int, *, peak_lr: float, warmup_steps: int, steps: int) -> float:
    """Return a learning rate that rises to ``peak_lr``, then falls along half a cosine to zero."""
    progress = min(1.0, max(0.0, (step - warmup_steps) / max(1, steps - warmup_steps)))
    peak = peak_lr * warmup_factor(step, warmup_steps=warmup_steps)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))


def ema_decay(step: int, *, decay: float) -> float:
    """Return ``decay``, or less in the first steps, when there is little to average."""
    return min(decay, (1 + step) / (10 + step))


def piecewise_lr(step: int, *, lr: float, milestones: tuple[int, ...], factor: float) -> float:
    """Return ``lr`` times ``factor`` for every milestone that ``step`` has reached."""
    return lr * factor ** sum(step >= milestone for milestone in milestones)
