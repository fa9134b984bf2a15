"""The table of networks for whole images, and the files of the package that it names."""

from importlib.resources import files

import pytest
import torch

from vidrestore.errors import UnknownModelError
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.registry import UPSCALERS, upscaler_of, upscaler_spec
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_weights
from vidrestore.weights.metadata import read_metadata


@pytest.mark.parametrize("name", UPSCALERS)
def test_the_weights_are_in_the_package_with_their_license(name: str) -> None:
    spec = UPSCALERS[name]
    network = spec.build()
    with bundled_file(spec.packaged_file) as path:
        load_weights(network, path)
        metadata = read_metadata(path)

    assert metadata["licence"].startswith(spec.license)
    data = files("vidrestore.models") / "data"
    assert spec.packaged_file in (data / "NOTICE").read_text()
    assert (data / spec.packaged_file.replace(".safetensors", ".md")).is_file()


@pytest.mark.parametrize("name", UPSCALERS)
def test_the_scale_of_each_upscaler_equals_that_of_the_registry(name: str) -> None:
    spec = UPSCALERS[name]
    with torch.no_grad():
        large = spec.build()(torch.zeros(1, 3, 2, 3))

    assert large.shape == (1, 3, 2 * spec.factor, 3 * spec.factor)


@pytest.mark.parametrize("name", UPSCALERS)
def test_the_network_is_recognized_by_its_tensors(name: str) -> None:
    with torch.device("meta"):
        state = UPSCALERS[name].build().state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}

    assert upscaler_of(shapes) is UPSCALERS[name]
    shapes.pop(next(iter(shapes)))
    assert upscaler_of(shapes) is None


def test_a_network_of_another_size_is_not_recognized() -> None:
    state = CompactUpscaler(features=8).state_dict()

    assert upscaler_of({key: tuple(tensor.shape) for key, tensor in state.items()}) is None


def test_a_misspelled_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match=r"did you mean 'realesrgan'\?.*compact"):
        upscaler_spec("realesgan")
