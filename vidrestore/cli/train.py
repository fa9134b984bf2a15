"""``vidrestore train``: train any of the networks as a config says, and resume."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vidrestore.cli.exitcodes import ExitCode, TerminatedError, expected_line
from vidrestore.devices import out_of_memory
from vidrestore.errors import DeviceError, VidrestoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainCommand:
    """Train a network as a config says; run again with the same arguments to resume.

    The folder takes last.pt (all that is needed to go on), log.jsonl, previews, and events for
    TensorBoard where that is installed. On several GPUs: torchrun --nproc-per-node N -m
    vidrestore train CONFIG.
    """

    config: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CONFIG")]
    """A TOML file, like those in configs/train."""
    folder: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FOLDER]")] = None
    """Where the run is kept; runs/NAME where not given, after the config's name."""
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="KEY=VALUE")
    ] = ()
    """Change a setting of the config: --set restorer.batch.size=4. Can be given many times."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Where the networks run; auto is the first GPU, or else the CPU."""
    quiet: bool = False
    """Print errors, and at the end the name of the checkpoint."""
    debug: bool = False
    """Print the traceback of an error, too."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore train``; under torchrun the first process alone tells about it."""
    command = tyro.cli(
        TrainCommand,
        prog="vidrestore train",
        args=argv,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    rank = int(os.environ.get("RANK", "0"))
    if rank:
        return _train_beside(command, rank)
    print(_train(command, quiet=command.quiet))
    return ExitCode.OK


def _train_beside(command: TrainCommand, rank: int) -> ExitCode:
    """Take part in a run that the first process tells about; only what fails here is told."""
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

    from vidrestore.cli.console import log_on_stderr
    from vidrestore.cli.train_display import train_display
    from vidrestore.configfile import read_config
    from vidrestore.training.run import RunConfig, train

    config = read_config(command.config, RunConfig, overrides=command.set)
    folder = command.folder or Path("runs") / command.config.stem
    folder.mkdir(parents=True, exist_ok=True)
    # What is logged as information says which networks losses are measured with.
    with log_on_stderr(logging.ERROR if quiet else logging.INFO):
        try:
            with train_display(quiet=quiet) as display:
                return train(config, folder=folder, device=command.device, on_progress=display.show)
        except Exception as error:
            if not out_of_memory(error):
                raise
            batch = f"{config.task_name}.batch"
            raise DeviceError(
                f"not enough memory; go through a batch in parts by --set {batch}.accumulate=N, or "
                f"lower {batch}.size"
            ) from error
