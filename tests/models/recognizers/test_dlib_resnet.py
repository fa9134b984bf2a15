import json
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from support.faces import example_images

from vidrestore.models.recognizers.dlib_resnet import INPUT_SIDE_PX, DlibResNet
from vidrestore.safeguard.identity import packaged_dlib_resnet

GOLDEN = json.loads((Path(__file__).parent / "face_embedding_by_dlib.json").read_text())
DLIB_AGREES = 1e-2
"""Distance between our embedding, in half precision and with folded layers, and dlib's."""


def sample_image(kind: str) -> NDArray[np.uint8]:
    """Return an image that is equal on every machine, as it is computed in integers."""
    y, x = np.mgrid[0:INPUT_SIDE_PX, 0:INPUT_SIDE_PX]
    if kind == "waves":
        planes = (x * x // 37 + 3 * y, (x * y) // 23, (y * y) // 41 + 2 * x)
    else:
        inside = (x - 75) ** 2 * 4 + (y - 78) ** 2 * 3 < 130 * 130
        eyes = ((abs(x - 75) - 26) ** 2 + (y - 47) ** 2 < 60) | (
            (abs(x - 75) < 20) & (abs(y - 105) < 4)
        )
        tone = np.where(eyes, 40, np.where(inside, 180 - abs(x - 60) // 2, 70))
        planes = (tone, tone * 3 // 4, tone * 5 // 8)
    return np.stack([plane % 256 for plane in planes], axis=-1).astype(np.uint8)


def to_batch(image_hwc: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(image_hwc).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def network() -> DlibResNet:
    return packaged_dlib_resnet()


@pytest.mark.parametrize("kind", sorted(GOLDEN))
def test_the_network_reproduces_stored_dlib_outputs(network: DlibResNet, kind: str) -> None:
    with torch.inference_mode():
        ours = network(to_batch(sample_image(kind)))[0].numpy()

    assert np.linalg.norm(ours - np.array(GOLDEN[kind])) < DLIB_AGREES


def test_the_network_matches_dlib_if_it_is_installed(network: DlibResNet) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib is not installed")
    # The package is only looked for: its module does not import everywhere.
    package = find_spec("face_recognition_models")
    if package is None or package.origin is None:
        pytest.skip("face_recognition_models is not installed")
    weights = "dlib_face_recognition_resnet_model_v1.dat"
    reference = dlib.face_recognition_model_v1(
        str(Path(package.origin).parent / "models" / weights)
    )
    face = cv2.resize(example_images(1)[0][60:360, 180:480], (150, 150))
    for image in (face, sample_image("waves"), sample_image("drawn")):
        with torch.inference_mode():
            ours = network(to_batch(image))[0].numpy()
        expected = np.array(reference.compute_face_descriptor(np.ascontiguousarray(image)))
        assert np.linalg.norm(ours - expected) < DLIB_AGREES


def test_a_crop_of_another_size_is_refused(network: DlibResNet) -> None:
    with pytest.raises(ValueError, match="150"):
        network(torch.zeros(1, 3, 112, 112))


def test_the_weights_state_their_source_and_license() -> None:
    data = files("vidrestore.models") / "data"
    with as_file(data / "face_embedding.safetensors") as path, safe_open(path, "pt") as file:
        metadata = file.metadata()

    assert "dlib_face_recognition_resnet_model_v1.dat" in metadata["source"]
    assert "CC0" in metadata["license"]
    assert "face_embedding.safetensors" in (data / "NOTICE").read_text()


def test_the_shortcut_of_a_halving_block_averages_and_pads_with_zeros() -> None:
    block = DlibResNet().blocks[10]  # 128 to 256 channels, 8 cells to 4 by means, 3 by stride
    with torch.inference_mode():
        for convolution in (block.conv1, block.conv2):  # type: ignore[union-attr]
            convolution.weight.zero_()
            convolution.bias.zero_()
        out = block(torch.ones(1, 128, 8, 8))

    assert out.shape == (1, 256, 4, 4)
    assert bool((out[:, :128] == 1).all())
    assert bool((out[:, 128:] == 0).all())
