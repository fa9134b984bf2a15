"""Identity: which part of a crop a recognition network is shown, and what angles mean."""

import pytest
import torch
from torch import Tensor, nn

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.metrics.identity import angle_degrees, arcface_embeddings, cosine, embeddings


class Spy(nn.Module):
    """Remembers what it is shown."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the mean of each channel."""
        self.seen = image
        return image.mean(dim=(2, 3)) + 2.0


def test_eyes_are_aligned_to_the_positions_recognizers_expect() -> None:
    spy = Spy()
    crop = torch.zeros(1, 3, 512, 512)
    eye = TEMPLATE_LANDMARKS_XY[0].round().astype(int)
    crop[:, :, eye[1] - 9 : eye[1] + 10, eye[0] - 9 : eye[0] + 10] = 1.0
    embeddings(spy, crop, TEMPLATE_LANDMARKS_XY)
    assert spy.seen.shape == (1, 3, 112, 96)
    bright = spy.seen[0, 0] - spy.seen[0, 0].min()
    x = float((bright.sum(dim=0) * torch.arange(96)).sum() / bright.sum())
    y = float((bright.sum(dim=1) * torch.arange(112)).sum() / bright.sum())
    assert (x, y) == (pytest.approx(30.3, abs=1.2), pytest.approx(51.7, abs=1.2))


def test_arcface_gets_gray_in_minus_one_to_one() -> None:
    spy = Spy()
    crop = torch.zeros(1, 3, 256, 256)
    crop[:, 1] = 1.0
    result = arcface_embeddings(spy, crop)
    assert spy.seen.shape == (1, 1, 128, 128)
    torch.testing.assert_close(spy.seen, torch.full_like(spy.seen, 2 * 0.587 - 1))
    torch.testing.assert_close(result.norm(dim=1), torch.ones(1))


def test_identity_angles_do_not_depend_on_embedding_length() -> None:
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    second = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.75**0.5]])
    torch.testing.assert_close(
        angle_degrees(cosine(first, second)), torch.tensor([0.0, 90.0, 60.0]), atol=1e-3, rtol=0
    )
