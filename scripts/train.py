"""Train a restorer: ``python scripts/train.py configs/train/lite.toml runs/lite``.

Run again with the same arguments to resume. ``--set data.crop_px=512`` changes a setting.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import logging
from pathlib import Path

from vidrestore.configfile import read_config
from vidrestore.training.config import TrainConfig
from vidrestore.training.reconstruction import train


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    config = read_config(arguments.config, TrainConfig, overrides=arguments.set)
    print(train(config, folder=arguments.folder))


if __name__ == "__main__":
    main()
