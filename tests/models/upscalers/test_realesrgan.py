"""Real-ESRGAN as a restorer of aligned faces."""

import pytest
import torch
from support.golden import fill_weights, pictures
from torch.nn import functional as F

from vidrestore.models.upscalers.realesrgan import RealEsrganFaces
from vidrestore.models.upscalers.rrdbnet import RRDBNet

SMALL = {"features": 8, "growth": 4, "blocks": 2}


def test_a_crop_is_downscaled_to_a_quarter_and_enlarged_again() -> None:
    faces = fill_weights(RealEsrganFaces(size_px=64, **SMALL), "fan_in")
    network = RRDBNet(**SMALL)
    network.load_state_dict(faces.state_dict())
    crops = pictures(2, 64)

    small = F.interpolate(crops * 0.5 + 0.5, (16, 16), mode="area")
    with torch.no_grad():
        expected = network(small) * 2 - 1
        assert torch.equal(faces(crops).image, expected)


@pytest.mark.parametrize("working_px", [12, 16, 24])
def test_any_working_size_gives_crops_of_the_input_size(working_px: int) -> None:
    faces = fill_weights(RealEsrganFaces(size_px=64, working_px=working_px, **SMALL), "fan_in")

    with torch.no_grad():
        assert faces(pictures(1, 64)).image.shape == (1, 3, 64, 64)


def test_the_default_working_size_is_128() -> None:
    with torch.device("meta"):
        assert RealEsrganFaces().working_px == 128
