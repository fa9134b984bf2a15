"""Train `lite` or `prior` on one accelerator, in minutes; prepare pairs; join files.

    python scripts/train_gpu.py train configs/train/lite_gpu.toml runs/lite_gpu --minutes 10
    python scripts/train_gpu.py train configs/train/prior_gpu.toml runs/prior_gpu --minutes 10
    python scripts/train_gpu.py teach configs/train/lite_gpu.toml pairs/ --count 6000
    python scripts/train_gpu.py join runs/lite_gpu

``train`` writes the weights (``lite.safetensors`` with both ends, or ``prior.safetensors``), the
curves (``curves.png``) and a sheet of stills before and after (``sheet.png``). The same command
continues an interrupted run. The checkpoint and the weights are also written in parts below 15 MB,
which ``join`` puts together. ``teach`` makes the teacher's pairs for ``lite`` beforehand, on CPUs:
name its folder with --set teacher.cache=...
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.toml_config import read_config
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, SourceConfig
from vidrestore.training.engine.progress import TrainingProgress
from vidrestore.training.on_device.config import DeviceRunConfig
from vidrestore.training.on_device.data.teacher_cache import TeacherCache
from vidrestore.training.on_device.lite_weights import build_lite_from, read_starting_state
from vidrestore.training.on_device.run import train_on_device
from vidrestore.training.on_device.teacher import Teacher
from vidrestore.training.split_files import join_file


def train(arguments: argparse.Namespace) -> None:
    """Run the stages of a config; print steps and samples per second."""
    config = _config(arguments)
    if arguments.minutes is not None:
        config = replace(config, minutes=arguments.minutes)
    if arguments.compile:
        config = replace(config, compile=True)
    written = train_on_device(
        config,
        folder=arguments.folder,
        device=arguments.device,
        on_progress=_progress_printer(config),
    )
    for path in written:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def teach(arguments: argparse.Namespace) -> None:
    """Make the teacher's pairs, all or one of several shares; continues an interrupted run."""
    config = _config(arguments)
    if config.network != "lite":
        raise ConfigError(f"the teacher is for lite, not {config.network}")
    device = resolve_device(arguments.device)
    faces = config.data.faces
    if config.teacher.recipes:
        faces = replace(faces, recipes=config.teacher.recipes)
    cache = TeacherCache(arguments.folder, count=arguments.count, side_px=faces.size_px)
    teacher = None
    if not arguments.without_teacher:
        teacher = Teacher(
            build_lite_from(read_starting_state(config.pretrained)),
            side_px=faces.size_px,
            config=config.teacher,
            device=device,
            dtype=resolve_precision(config.precision, device),
        )
    if not 0 <= arguments.share < arguments.shares:
        raise ConfigError(f"--share must be 0 to {arguments.shares - 1}, got {arguments.share}")
    began = time.monotonic()
    made = cache.fill(
        FaceDataset(faces, seed=config.seed),
        teacher,
        device=device,
        first=arguments.share,
        every=arguments.shares,
        on_sample=lambda index: print(
            f"sample {index}, {time.monotonic() - began:.0f} s", flush=True
        ),
    )
    print(f"{arguments.folder}: {made} more pairs")


def join(arguments: argparse.Namespace) -> None:
    """Join the files of a folder that were written in parts."""
    lists = sorted(arguments.folder.glob("*.parts.json"))
    if not lists:
        raise ConfigError(f"{arguments.folder}: no list of parts (*.parts.json) here")
    for listed in lists:
        print(join_file(listed))


def _config(arguments: argparse.Namespace) -> DeviceRunConfig:
    config = read_config(arguments.config, DeviceRunConfig, overrides=arguments.set)
    if arguments.generated is None:
        return config
    faces = add_source(config.data.faces, arguments.generated)
    return replace(config, data=replace(config.data, faces=faces))


def add_source(faces: DatasetConfig, folder: Path, *, weight: float = 1.0) -> DatasetConfig:
    """Return the settings of faces with those of another folder."""
    # A folder with an absolute path is not relative to the root.
    more = SourceConfig(folder=str(folder.resolve()), weight=weight)
    return replace(faces, sources=(*faces.sources, more))


def _progress_printer(config: DeviceRunConfig) -> Callable[[TrainingProgress], None]:
    """Return a callback that prints a line of progress."""

    def print_line(progress: TrainingProgress) -> None:
        if progress.stage == "validating":
            print("  " + _numbers(progress.scores), flush=True)
            return
        terms = dict(progress.terms)
        stage = config.stages[int(terms.pop("stage"))]
        samples = terms.pop("samples_per_second")
        print(
            f"{stage.name}: step {progress.step} of about {progress.steps}, "
            f"{samples / stage.batch:.2f} steps/s, {samples:.0f} samples/s: {_numbers(terms)}",
            flush=True,
        )

    return print_line


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def main() -> int:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="train|teach|join")
    for name, action in (("train", train), ("teach", teach)):
        command = commands.add_parser(name, help=(action.__doc__ or "").splitlines()[0])
        command.set_defaults(action=action)
        command.add_argument("config", type=Path, help="a TOML file like lite_gpu.toml")
        command.add_argument("folder", type=Path, help="folder of the run, or of the pairs")
        command.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N")
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
        command.add_argument(
            "--generated", type=Path, metavar="FOLDER", help="also train on these generated faces"
        )
        if name == "train":
            command.add_argument("--minutes", type=float, help="duration of the whole run")
            command.add_argument("--compile", action="store_true", help="compile the restorer")
        else:
            command.add_argument(
                "--count", type=int, default=6000, help="number of samples of all shares"
            )
            command.add_argument(
                "--without-teacher", action="store_true", help="only degraded faces and targets"
            )
            command.add_argument("--share", type=int, default=0, help="number of this share")
            command.add_argument("--shares", type=int, default=1, help="number of shares")
    joining = commands.add_parser("join", help=(join.__doc__ or "").splitlines()[0])
    joining.set_defaults(action=join)
    joining.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arguments.action(arguments)
    except (VidrestoreError, OSError, torch.OutOfMemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
