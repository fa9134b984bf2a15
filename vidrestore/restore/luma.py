"""Luma of crops."""

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.types import FloatArray

_WEIGHTS = np.array([[0.299, 0.587, 0.114]], dtype=np.float32)
_WITHOUT_LUMA = np.eye(3, dtype=np.float32) - _WEIGHTS


def luma_hw(image_hwc: FloatArray) -> FloatArray:
    """Return ``(H, W)`` luma of ``(H, W, 3)`` float32 RGB."""
    return np.asarray(cv2.transform(image_hwc, _WEIGHTS), dtype=np.float32)


def without_luma(image_hwc: FloatArray) -> FloatArray:
    """Return ``(H, W, 3)`` float32 RGB minus its luma: the color alone."""
    return np.asarray(cv2.transform(image_hwc, _WITHOUT_LUMA), dtype=np.float32)


def luma_of_crop(crop_chw: Tensor) -> FloatArray:
    """Return ``(S, S)`` luma of ``(3, S, S)`` RGB."""
    if crop_chw.device.type == "cpu":
        return luma_hw(np.ascontiguousarray(crop_chw.permute(1, 2, 0).numpy()))
    weights = crop_chw.new_tensor(_WEIGHTS[0])[:, None, None]
    return np.ascontiguousarray((crop_chw * weights).sum(dim=0).cpu().numpy())


def add_luma(crop_chw: Tensor, change_hw: FloatArray) -> Tensor:
    """Return ``(3, S, S)`` RGB in [0, 1] with a change of its luma, on its device."""
    change = torch.from_numpy(change_hw).to(crop_chw.device)
    return (crop_chw + change).clamp_(0.0, 1.0)
