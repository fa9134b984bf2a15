"""F1 scores of segmentation, over the pixels of all images together."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vidrestore.models.face_parser import PARSING_CLASSES


def confusion_matrix(predicted_HW: Tensor, true_HW: Tensor) -> Tensor:
    """Return the number of pixels of every class predicted as every class, int64.

    Args:
        predicted_HW: int64 labels.
        true_HW: int64 labels; other values are ignored.

    Returns:
        ``(true, predicted)``.
    """
    count = len(PARSING_CLASSES)
    is_labeled = (true_HW >= 0) & (true_HW < count)
    pairs = true_HW[is_labeled] * count + predicted_HW[is_labeled]
    return torch.bincount(pairs, minlength=count**2).view(count, count)


def f1_by_class(confusion: Tensor) -> dict[str, float]:
    """Return the F1 score of every class.

    Args:
        confusion: Sum of ``confusion_matrix`` over images.

    Returns:
        Name -> score. A class that no image contains is left out; pixels wrongly predicted as it
        are errors of their true classes.
    """
    correct = confusion.diagonal()
    true, predicted = confusion.sum(dim=1), confusion.sum(dim=0)
    scores = 2 * correct / (true + predicted).clamp_min(1)
    return {name: float(scores[index]) for index, name in enumerate(PARSING_CLASSES) if true[index]}


def mean_f1(scores: Mapping[str, float]) -> float:
    """Return the mean of ``f1_by_class`` without the background; 0 if empty."""
    included = [score for name, score in scores.items() if name != PARSING_CLASSES[0]]
    return sum(included) / len(included) if included else 0.0
