"""Convert the MTCNN weights of the facenet-pytorch 2.6.0 wheel to one safetensors file.

    python scripts/convert_mtcnn.py facenet_pytorch-2.6.0-py3-none-any.whl OUT.safetensors

Get the wheel with `pip download --no-deps facenet-pytorch==2.6.0`. The weights are under the
MIT license, which is kept in vidrestore/models/data/NOTICE.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from vidrestore.models.mtcnn import Mtcnn
from vidrestore.weights.save import save_weights

State = dict[str, Tensor]

CONVOLUTIONS = {"proposal": 3, "refine": 3, "output": 4}
SOURCE_FILES = {"proposal": "pnet", "refine": "rnet", "output": "onet"}
HEADS = {"proposal": "4_", "refine": "5_", "output": "6_"}
DENSE = {"refine": ("dense4", "prelu4", 3), "output": ("dense5", "prelu5", 3)}
"""Names of the hidden dense layer and the side of the map that it flattens."""
PROPOSAL_CHANNELS = 16
"""Of our first network's first layer; the source has 10."""
POOLS_AFTER = {"proposal": {1}, "refine": {1, 2}, "output": {1, 2, 3}}


def one_logit(two_classes: Tensor) -> Tensor:
    """Fold (no face, face) into log odds: softmax of two is the sigmoid of the difference."""
    return two_classes[1:2] - two_classes[0:1]


def columns_channel_first(weight: Tensor, side: int) -> Tensor:
    """Reorder a dense layer that expects (W, H, C) so that it takes a flattened (C, H, W)."""
    rows = weight.shape[0]
    return weight.reshape(rows, side, side, -1).permute(0, 3, 2, 1).reshape(rows, -1)


def with_empty_channels(source: State) -> State:
    """Fill up the first layer of the first network with channels that are always 0."""
    filled = dict(source)
    for name in ("conv1.weight", "conv1.bias", "prelu1.weight"):
        value = source[name]
        filled[name] = torch.cat(
            [value, value.new_zeros(PROPOSAL_CHANNELS - len(value), *value.shape[1:])]
        )
    following = source["conv2.weight"]
    rows, columns = following.shape[0], PROPOSAL_CHANNELS - following.shape[1]
    empty = following.new_zeros(rows, columns, *following.shape[2:])
    filled["conv2.weight"] = torch.cat([following, empty], dim=1)
    return filled


def converted(source: State, network: str) -> State:
    """Return the state of one network under our names."""
    state: State = {}
    index = 0
    for layer in range(1, CONVOLUTIONS[network] + 1):
        state[f"features.{index}.weight"] = source[f"conv{layer}.weight"]
        state[f"features.{index}.bias"] = source[f"conv{layer}.bias"]
        state[f"features.{index + 1}.weight"] = source[f"prelu{layer}.weight"]
        index += 3 if layer in POOLS_AFTER[network] else 2
    if network in DENSE:
        dense, prelu, side = DENSE[network]
        index += 1
        state[f"features.{index}.weight"] = columns_channel_first(source[f"{dense}.weight"], side)
        state[f"features.{index}.bias"] = source[f"{dense}.bias"]
        state[f"features.{index + 1}.weight"] = source[f"{prelu}.weight"]
    kind = "conv" if network == "proposal" else "dense"
    heads = [f"{kind}{HEADS[network]}{number}" for number in (1, 2, 3)]
    heads = [head for head in heads if f"{head}.weight" in source]
    for part in ("weight", "bias"):
        first, *rest = (source[f"{head}.{part}"] for head in heads)
        state[f"head.{part}"] = torch.cat([one_logit(first), *rest])
    return {f"{network}.{name}": value.contiguous() for name, value in state.items()}


def main(wheel: Path, out: Path) -> None:
    """Read ``wheel``, check the result against the network, write ``out``."""
    state: State = {}
    with zipfile.ZipFile(wheel) as archive:
        for network, name in SOURCE_FILES.items():
            raw = archive.read(f"facenet_pytorch/data/{name}.pt")
            source: State = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
            if network == "proposal":
                source = with_empty_channels(source)
            state |= converted(source, network)
    Mtcnn().load_state_dict(state, strict=True)
    metadata = {
        "source": "facenet-pytorch 2.6.0, facenet_pytorch/data/{pnet,rnet,onet}.pt",
        "source_url": "https://github.com/timesler/facenet-pytorch",
        "source_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "paper": "Zhang et al. 2016, doi:10.1109/LSP.2016.2603342",
        "license": "MIT, Copyright (c) 2019 Timothy Esler; see NOTICE beside this file",
        "converted_by": "scripts/convert_mtcnn.py",
    }
    save_weights(state, out, metadata)
    print(f"{out}: {len(state)} tensors, {out.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
