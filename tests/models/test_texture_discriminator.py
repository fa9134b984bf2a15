"""The discriminator of texture."""

import pytest
import torch
from torch.nn import functional as F

from vidrestore.models.texture_discriminator import TextureDiscriminator


@pytest.fixture
def discriminator() -> TextureDiscriminator:
    torch.manual_seed(0)
    return TextureDiscriminator(base_ch=8)


def test_there_is_one_score_per_eight_by_eight_pixels(discriminator: TextureDiscriminator) -> None:
    picture = torch.randn(2, 3, 64, 96)
    assert discriminator(picture, picture).shape == (2, 1, 8, 12)


def test_a_score_depends_on_its_patch_and_the_degraded_image(
    discriminator: TextureDiscriminator,
) -> None:
    discriminator.eval()
    picture, degraded = torch.randn(1, 3, 128, 128), torch.randn(1, 3, 128, 128)
    scores = discriminator(picture, degraded)
    far = picture.clone()
    far[:, :, :, 100:] = 0
    assert torch.equal(discriminator(far, degraded)[..., :2], scores[..., :2])
    assert not torch.equal(discriminator(far, degraded)[..., -2:], scores[..., -2:])
    assert not torch.equal(discriminator(picture, -degraded), scores)


def test_training_separates_sharp_from_blurred_images(discriminator: TextureDiscriminator) -> None:
    generator = torch.Generator().manual_seed(1)
    adam = torch.optim.Adam(discriminator.parameters(), lr=2e-3)

    def gap() -> torch.Tensor:
        sharp = torch.randn(2, 3, 32, 32, generator=generator)
        blurred = F.avg_pool2d(sharp, 5, stride=1, padding=2)
        return discriminator(sharp, blurred).mean() - discriminator(blurred, blurred).mean()

    for _ in range(30):
        adam.zero_grad()
        (-gap()).backward()
        adam.step()
    assert float(gap().detach()) > 0.5


def test_a_gain_makes_scores_sensitive_to_faint_detail() -> None:
    picture = torch.zeros(1, 3, 64, 64)
    faint = 0.01 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))

    def change(detail_gain: float) -> float:
        torch.manual_seed(0)
        discriminator = TextureDiscriminator(base_ch=8, detail_gain=detail_gain).eval()
        return float(
            (discriminator(picture + faint, picture) - discriminator(picture, picture))
            .detach()
            .std()
        )

    assert change(16.0) > 3 * change(1.0)


def test_spectral_normalization_bounds_the_scale_of_weights(
    discriminator: TextureDiscriminator,
) -> None:
    """Spectral normalization: a hundredfold weight gives the same scores."""
    discriminator.eval()
    picture = torch.randn(1, 3, 32, 32)
    scores = discriminator(picture, picture)
    with torch.no_grad():
        for name, weight in discriminator.named_parameters():
            if "original" in name:
                weight.mul_(100)
    torch.testing.assert_close(discriminator(picture, picture), scores)
