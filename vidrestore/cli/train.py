"""``vidrestore train CONFIG``: train a network from a config, or resume."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vidrestore.cli.exit_codes import ExitCode, TerminatedError, expected_line
from vidrestore.cli.parsing.arguments import parse_command
from vidrestore.devices import out_of_memory
from vidrestore.errors import DeviceError, VidrestoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainCommand:
    """Train a network from a config; run again with the same arguments to resume.

    The folder receives last.pt (everything needed to resume), log.jsonl, previews, and events for
    TensorBoard if it is installed. On several GPUs: torchrun --nproc-per-node N -m vidrestore
    train CONFIG.
    """

    config: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CONFIG")]
    """A TOML file, like those in configs/train."""
    folder: Annotated[
        tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FOLDER]", help_behavior_hint="")
    ] = None
    """Folder of the run; by default runs/NAME, after the config's name."""
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="KEY=VALUE")
    ] = ()
    """Change a setting of the config: --set restorer.batch.size=4. May be repeated."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Device of the networks; auto is the first GPU, or else the CPU."""
    dry_run: bool = False
    """Train a few steps, print parameters, FLOPs, memory and time, and keep nothing."""
    explain: bool = False
    """Print the weights of the losses with their sources, and train nothing."""
    quiet: bool = False
    """Print only errors, and at the end the name of the checkpoint."""
    debug: bool = False
    """Also print the traceback of an error."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore train``; under torchrun only the first process prints its progress."""
    command = parse_command(TrainCommand, "train", argv)
    if command.explain:
        print("\n".join(_explain(command)))
        return ExitCode.OK
    if command.dry_run:
        print("\n".join(_dry_run(command)))
        return ExitCode.OK
    rank = int(os.environ.get("RANK", "0"))
    if rank:
        return _train_other_process(command, rank)
    print(_train(command, quiet=command.quiet))
    return ExitCode.OK


def _explain(command: TrainCommand) -> list[str]:
    from vidrestore.toml_config import read_config
    from vidrestore.training.engine.run import RunConfig
    from vidrestore.training.explain import explain

    config = read_config(command.config, RunConfig, overrides=command.set)
    return [str(weight) for weight in explain(config)]


def _dry_run(command: TrainCommand) -> list[str]:
    from vidrestore.toml_config import read_config
    from vidrestore.training.dry_run import dry_run
    from vidrestore.training.engine.run import RunConfig

    config = read_config(command.config, RunConfig, overrides=command.set)
    return [*dry_run(config, device=command.device).lines()]


def _train_other_process(command: TrainCommand, rank: int) -> ExitCode:
    """Run another process of a distributed run; print only its errors."""
    try:
        _train(command, quiet=True)
    except TerminatedError:
        return ExitCode.TERMINATED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (VidrestoreError, OSError) as error:
        if (line := expected_line(error)) is None or command.debug:
            raise
        print(f"error: process {rank}: {line}", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


def _train(command: TrainCommand, *, quiet: bool) -> Path:
    # Imported here: --help needs neither torch nor rich.
    import logging

    from vidrestore.cli.display.progress_bars import log_on_stderr
    from vidrestore.cli.display.train_progress import train_display
    from vidrestore.toml_config import read_config
    from vidrestore.training.engine.run import RunConfig, train

    config = read_config(command.config, RunConfig, overrides=command.set)
    folder = command.folder or Path("runs") / command.config.stem
    folder.mkdir(parents=True, exist_ok=True)
    # Log messages of level INFO name the networks that losses are measured with.
    with log_on_stderr(logging.ERROR if quiet else logging.INFO):
        try:
            with train_display(quiet=quiet) as display:
                return train(config, folder=folder, device=command.device, on_progress=display.show)
        except Exception as error:
            if not out_of_memory(error):
                raise
            batch = f"{config.task_name}.batch"
            raise DeviceError(
                f"not enough memory; split a batch into N parts by --set {batch}.accumulate=N, or "
                f"lower {batch}.size"
            ) from error
