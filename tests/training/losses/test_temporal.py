"""What moves with the flow costs nothing; what flickers costs as much as it is trusted."""

import pytest
import torch
from torch import Tensor

from vidrestore.training.losses.temporal import temporal_loss

MOVE_XY = (3, -2)


def frames(side: int = 24) -> tuple[Tensor, Tensor]:
    """Return a picture, and the same moved by ``MOVE_XY``."""
    first = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    return first, first.roll((MOVE_XY[1], MOVE_XY[0]), dims=(2, 3))


def back(side: int = 24) -> Tensor:
    """Return the motion from the second frame back to the first."""
    return torch.tensor([-MOVE_XY[0], -MOVE_XY[1]]).float().expand(2, side, side, 2)


def test_frames_that_move_with_the_flow_cost_nothing() -> None:
    trust = torch.ones(2, 24, 24)
    assert float(temporal_loss(*frames(), back(), trust)) == pytest.approx(0, abs=1e-6)
    # A restorer that commutes with the motion is free, whatever it does to the tones.
    first, second = (frame**2 * 0.5 + 0.1 for frame in frames())
    assert float(temporal_loss(first, second, back(), trust)) == pytest.approx(0, abs=1e-6)
    assert float(temporal_loss(*frames(), torch.zeros_like(back()), trust)) > 0.1


def test_flicker_costs_its_size_where_the_motion_is_trusted() -> None:
    first, second = frames()
    trust = torch.zeros(2, 24, 24)
    assert float(temporal_loss(first, second + 0.2, back(), trust)) == 0
    trust[:, 8:16, 8:16] = 0.5
    cost = float(temporal_loss(first, second + 0.2, back(), trust))
    assert cost == pytest.approx(0.2 * 0.5 * 64 / 24**2, rel=1e-4)


def test_motion_that_leaves_the_frame_is_not_trusted() -> None:
    first, second = frames()
    outside = torch.full((2, 24, 24, 2), 30.0)
    assert float(temporal_loss(first, second, outside, torch.ones(2, 24, 24))) == 0


def test_both_frames_get_gradients() -> None:
    first, second = (frame.requires_grad_() for frame in frames())
    temporal_loss(first, second + 0.1, back(), torch.ones(2, 24, 24)).backward()
    assert all(frame.grad is not None and frame.grad.abs().sum() > 0 for frame in (first, second))
