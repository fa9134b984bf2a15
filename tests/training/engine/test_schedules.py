"""Schedules are functions of the step."""

from itertools import pairwise

import pytest

from vidrestore.training.engine.schedules import ema_decay, warmup_cosine_lr


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [warmup_cosine_lr(step, peak_lr=1.0, warmup_steps=10, steps=100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_the_decay_is_smaller_in_the_first_steps() -> None:
    assert ema_decay(0, decay=0.99) < 0.2
    assert ema_decay(10_000, decay=0.99) == 0.99
