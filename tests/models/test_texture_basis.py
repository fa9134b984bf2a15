"""The noise that texture is mixed from."""

import pytest
import torch

from vidrestore.models.texture_basis import TEXTURES, texture_basis


@pytest.fixture(scope="module")
def basis() -> torch.Tensor:
    return texture_basis(128)


def test_every_texture_has_mean_0_and_deviation_1(basis: torch.Tensor) -> None:
    assert basis.shape == (TEXTURES, 128, 128)
    torch.testing.assert_close(basis.mean(dim=(1, 2)), torch.zeros(TEXTURES), atol=1e-5, rtol=0)
    torch.testing.assert_close(basis.std(dim=(1, 2)), torch.ones(TEXTURES), atol=1e-3, rtol=0)


def test_no_texture_is_like_another(basis: torch.Tensor) -> None:
    alike = torch.corrcoef(basis.flatten(1)) - torch.eye(TEXTURES)
    assert float(alike.abs().max()) < 0.05


def test_it_is_the_noise_that_weights_were_trained_with(basis: torch.Tensor) -> None:
    """Another noise would do as well for new weights, and not for those that are shipped."""
    expected = torch.tensor([1.3362, -0.2307, -1.6357, 1.6399])
    torch.testing.assert_close(basis[0, 0, :4], expected, atol=1e-3, rtol=0)


def test_lines_run_along_their_orientation(basis: torch.Tensor) -> None:
    for scale in (2, 6):
        level, upright = basis[scale], basis[scale + 2]
        along_x, along_y = ((each.diff(dim=1)).std() for each in (level, upright))
        assert along_x < 0.6 * along_y
        along_x, along_y = ((each.diff(dim=0)).std() for each in (level, upright))
        assert along_y < 0.6 * along_x


def test_it_goes_on_beyond_its_edges(basis: torch.Tensor) -> None:
    across_edge = (basis[1:, :, 0] - basis[1:, :, -1]).std(dim=1)
    inside = basis[1:].diff(dim=2).std(dim=(1, 2))
    assert bool((across_edge < 1.5 * inside).all())
