"""Schedules are functions of the step."""

from itertools import pairwise

import pytest

from vidrestore.training.engine.schedules import ema_decay, warmup_cosine_lr


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    optimizer_config = [
        warmup_cosine_lr(step, peak_lr=1.0, warmup_steps=10, steps=100) for step in range(101)
    ]
    assert optimizer_config[0] == pytest.approx(0.1)
    assert max(optimizer_config) == pytest.approx(1.0)
    assert optimizer_config[100] == pytest.approx(0.0)
    assert all(a >= b for a, b in pairwise(optimizer_config[10:]))


def test_the_average_is_short_while_there_is_little_to_average() -> None:
    assert ema_decay(0, decay=0.99) < 0.2
    assert ema_decay(10_000, decay=0.99) == 0.99
