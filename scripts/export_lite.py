"""Write the weights of the embedded restorer: one end, or both ends in one file.

    python scripts/export_lite.py runs/lite/last.pt
    python scripts/export_lite.py runs/fidelity.pt runs/detail.pt --default-detail 0.8

It takes checkpoints of ``scripts/train.py`` (their moving average) or exported weights. The second
run must have started from the network of the first; otherwise nothing between the two is usable.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from vidrestore.errors import VidrestoreError
from vidrestore.models.registry import restorer_spec
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.tasks.build import read_pretrained
from vidrestore.weights.interpolation import pack
from vidrestore.weights.load import load_state, read_weights
from vidrestore.weights.metadata import FORMAT_VERSION, interpolation_metadata
from vidrestore.weights.model_options import DETAIL
from vidrestore.weights.save import save_weights

TARGET = Path(__file__).parent.parent / "vidrestore" / "models" / "data" / "lite.safetensors"
RECIPES = ("configs/train/lite_gpu.toml", "configs/train/lite_gpu.toml")


def export(
    ends: list[Path], target: Path, *, default_detail: float, recipes: Sequence[str]
) -> dict[str, str]:
    """Write the weights of one or two checkpoints; return the metadata of the file.

    Args:
        ends: Checkpoint of fidelity, or of fidelity and detail.
        target: File to write; it appears when it is complete.
        default_detail: Position between two ends at ``--detail`` 0.5, 0 to 1.
        recipes: Config that each end was trained with.

    Raises:
        WeightsError: A checkpoint is not one of ``lite``.
        ConfigError: ``default_detail`` is out of range.
    """
    DETAIL.check(default_detail, name="default detail")
    spec = restorer_spec("lite")
    states = [_of_network(spec.build(), path) for path in ends]
    metadata = {
        "format_version": FORMAT_VERSION,
        "model": "lite",
        "licence": spec.license,
        "recipe": ", ".join(dict.fromkeys(recipes)),
        "steps": ", ".join(map(_steps, ends)),
    }
    if len(states) == 2:
        tensors = pack(*states)
        metadata |= interpolation_metadata(default_detail)
    else:
        tensors = {name: state.to(torch.float16) for name, state in states[0].items()}
    save_weights(tensors, target, metadata)
    return metadata


def _of_network(network: nn.Module, path: Path) -> dict[str, Tensor]:
    load_state(network, read_pretrained(path, "generator"), path)
    return network.state_dict()


def _steps(path: Path) -> str:
    return str(read_checkpoint(path)["step"]) if path.suffix == ".pt" else "unknown"


def main() -> int:
    """Parse the command line, write the file and read it back."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fidelity", type=Path, help="checkpoint closest to the film")
    parser.add_argument("detail", type=Path, nargs="?", help="checkpoint with most detail")
    parser.add_argument("--default-detail", type=float, default=None, metavar="0..1")
    parser.add_argument("--recipe", nargs="+", help=f"default: {RECIPES[0]}")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    ends = [path for path in (arguments.fidelity, arguments.detail) if path is not None]
    if arguments.default_detail is not None and len(ends) == 1:
        parser.error("--default-detail needs two checkpoints")
    default = 0.5 if arguments.default_detail is None else arguments.default_detail
    recipes = arguments.recipe or RECIPES[: len(ends)]
    if len(recipes) != len(ends):
        parser.error(f"--recipe needs one recipe per checkpoint: {len(ends)}")
    try:
        metadata = export(ends, arguments.target, default_detail=default, recipes=recipes)
        read_weights(arguments.target)
    except (VidrestoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.target}: {arguments.target.stat().st_size / 1e6:.1f} MB")
    for name, value in metadata.items():
        print(f"  {name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
