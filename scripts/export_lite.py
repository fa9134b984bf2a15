"""Write the embedded restorer's weights: ``python scripts/export_lite.py runs/lite/last.pt``.

Takes the moving average of a training checkpoint, in half precision, which loading widens again.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]

from vidrestore.models.table import restorer_spec
from vidrestore.training.checkpoint import read_checkpoint

TARGET = Path(__file__).parent.parent / "vidrestore" / "models" / "data" / "lite.safetensors"


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=TARGET)
    arguments = parser.parse_args()
    state = read_checkpoint(arguments.checkpoint)
    network = restorer_spec("lite").build()
    network.load_state_dict(state["params_ema"])
    tensors = {name: value.to(torch.float16) for name, value in network.state_dict().items()}
    metadata = {"model": "lite", "licence": "Apache-2.0", "training_step": str(state["step"])}
    save_file(tensors, arguments.target, metadata=metadata)
    print(f"{arguments.target}: {arguments.target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
