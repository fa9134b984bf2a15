"""Write the package's file of ``prior``: an exported restorer without the packaged generator.

    python scripts/export.py runs/prior_small_faces/last.pt prior_full.safetensors
    python scripts/pack_prior.py prior_full.safetensors vidrestore/models/data/prior.safetensors

The generator's levels are those of ``mobile_stylegan.safetensors``, bit for bit, or the file is
refused; its head is the restorer's own. Tensors are rounded to float16.
"""

import argparse
import sys
from pathlib import Path

import torch

from vidrestore.errors import VidrestoreError, WeightsError
from vidrestore.models.prior_restorer import build_small_prior
from vidrestore.weights.load import load_weights
from vidrestore.weights.priors import packaged_generator_state
from vidrestore.weights.save import save_weights


def pack(source: Path, out: Path) -> int:
    """Write ``out``; return the number of its weights.

    Raises:
        WeightsError: ``source`` is no such restorer, or its generator was trained on.
    """
    network = build_small_prior()
    load_weights(network, source)
    state, shared = network.state_dict(), packaged_generator_state(network)
    for name, tensor in shared.items():
        if not torch.equal(state.pop(name), tensor.float()):
            raise WeightsError(f"{source}: {name} is not the packaged generator's; freeze it")
    half = {name: tensor.half().contiguous() for name, tensor in state.items()}
    save_weights(half, out, {"source": "scripts/pack_prior.py"})
    return sum(tensor.numel() for tensor in half.values())


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("restorer", type=Path, help="by scripts/export.py")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    try:
        count = pack(arguments.restorer, arguments.out)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    size = arguments.out.stat().st_size / 1e6
    print(f"{arguments.out}: {count / 1e6:.2f} million weights, {size:.1f} MB")


if __name__ == "__main__":
    main()
