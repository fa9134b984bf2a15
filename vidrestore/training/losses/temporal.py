"""Temporal loss: what a restorer draws moves with the face, from one frame to the next."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.full_precision import to_float32


def temporal_loss(
    first_NCHW: Tensor, second_NCHW: Tensor, flow_NHW2: Tensor, weight_NHW: Tensor
) -> Tensor:
    """Return the mean difference of frames from those before them, moved along.

    The short-term temporal loss of Lai et al. 2018, "Learning blind video temporal consistency"
    (section 3.2): L1 between a frame and the warped previous one, weighted by how far the motion is
    to be trusted. Both frames get gradients.

    Args:
        first_NCHW: Frames, any range.
        second_NCHW: The frame after each.
        flow_NHW2: For every pixel of the second frame how far away, in pixels (x, y), the first
            shows the same.
        weight_NHW: Trust in that motion, 0 to 1. Where it points outside the first frame it counts
            as 0.
    """
    first, second = to_float32(first_NCHW), to_float32(second_NCHW)
    height, width = first.shape[2:]
    rows, columns = (
        torch.arange(size, device=first.device, dtype=torch.float32) for size in (height, width)
    )
    x, y = columns + flow_NHW2[..., 0], rows[:, None] + flow_NHW2[..., 1]
    # grid_sample's coordinates without align_corners: -1 and 1 are the outer pixel edges.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    moved = F.grid_sample(first, grid, padding_mode="border", align_corners=False)
    is_inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return (weight_NHW * is_inside * (second - moved).abs().mean(dim=1)).mean()
