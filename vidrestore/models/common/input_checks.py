"""Checks on the input of networks of one size."""

from torch import Tensor


def check_input_size(image_NCHW: Tensor, side_px: int) -> None:
    """Check that a batch is ``(N, 3, side_px, side_px)``.

    Raises:
        ValueError: It has another shape; the message names both.
    """
    shape = tuple(image_NCHW.shape)
    if len(shape) == 4 and shape[1:] == (3, side_px, side_px):
        return
    if len(shape) == 4 and shape[1] == 3:
        raise ValueError(f"crops must be {side_px} x {side_px} px, got {shape[2]} x {shape[3]}")
    raise ValueError(f"crops must be (N, 3, {side_px}, {side_px}), got {shape}")
