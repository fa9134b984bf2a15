"""Real-ESRGAN as a restorer of aligned faces."""

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
