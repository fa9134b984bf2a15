"""Train any system: ``python scripts/train.py configs/train/gfpgan_512.toml runs/gfpgan``.

Run again with the same arguments to resume. ``--set restorer.batch.size=4`` changes a setting.
On several GPUs: ``torchrun --nproc-per-node 4 scripts/train.py ...`` with the same config.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import logging
import sys
import tomllib
from pathlib import Path

from vidrestore.allocator import keep_freed_memory
from vidrestore.configfile import read_config
from vidrestore.errors import VidrestoreError
from vidrestore.training import reconstruction, run
from vidrestore.training.config import TrainConfig


def main() -> int:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    try:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        print(trained(arguments.config, arguments.folder, arguments.set, arguments.device))
    except (VidrestoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def trained(path: Path, folder: Path, overrides: list[str], device: str) -> Path:
    """Run the config of a file; return the last checkpoint."""
    # The first version of lite has a loop of its own, told by its key "model".
    if path.is_file() and "model" in tomllib.loads(path.read_text(encoding="utf-8")):
        config = read_config(path, TrainConfig, overrides=overrides)
        return reconstruction.train(config, folder=folder)
    return run.train(
        read_config(path, run.RunConfig, overrides=overrides), folder=folder, device=device
    )


if __name__ == "__main__":
    sys.exit(main())
