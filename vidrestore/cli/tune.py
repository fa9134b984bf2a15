"""``vidrestore tune FILM -o WEIGHTS``: adapt the packaged restorer to a film, or to a person."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vidrestore.cli.exit_codes import ExitCode, UsageError
from vidrestore.cli.output_checks import check_side_file
from vidrestore.cli.parsing.arguments import parse_command
from vidrestore.storage.source_path import checked_source

if TYPE_CHECKING:
    from vidrestore.training.tuning.tune import TuneReport


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneCommand:
    """Adapt `lite` to one film, and to one person if there are photographs.

    Clear faces are degraded as the film's are, and the last layers of the network learn to restore
    them, in minutes. A quarter of the faces is held out. If `lite`, when it is as sharp, restores
    these as well, nothing is written. Restore with `vidrestore FILM -o FILE --model WEIGHTS`.
    """

    film: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILM")]
    """The film; the face that is longest in its first 100 frames is measured."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",), metavar="WEIGHTS")]
    """The weights to write, such as `tuned.safetensors`."""
    reference: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Four or more clear photographs of the person, with faces of 256 px or more; without it,
    generated faces of nobody."""
    steps: int = 300
    """Steps of training; 100 take one to three minutes on two cores."""
    seed: int = 0
    """Seed of all random draws."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Device of the training; auto is the first GPU, or else the CPU."""
    overwrite: bool = False
    """Replace existing weights."""
    quiet: bool = False
    """Print errors only."""
    debug: bool = False
    """Print the traceback of an error, too."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore tune``."""
    command = parse_command(TuneCommand, "tune", argv)
    if command.steps < 1 or command.seed < 0:
        raise UsageError("--steps must be 1 or more, and --seed 0 or more")
    if command.output.suffix != ".safetensors":
        raise UsageError(f"-o {command.output}: the name must end in .safetensors")
    others = (command.film, *filter(None, [command.reference]))
    check_side_file("-o", command.output, others=others, overwrite=command.overwrite)
    for path in others:
        checked_source(path)
    report = _tune(command)
    if not command.quiet:
        _print(command.output, report)
    return ExitCode.OK


def _tune(command: TuneCommand) -> "TuneReport":
    # Imported here: --help needs neither torch nor rich.
    import torch

    from vidrestore.cli.display.train_progress import train_display
    from vidrestore.devices import resolve_device
    from vidrestore.pipeline.loading.load_models import load_detector
    from vidrestore.training.tuning.tune import tune
    from vidrestore.training.tuning.tuner import TuneConfig

    detector = load_detector("mtcnn", device=torch.device("cpu"))
    with train_display(quiet=command.quiet) as display:
        return tune(
            command.film,
            command.output,
            photos=command.reference,
            detector=detector,
            device=resolve_device(command.device),
            config=TuneConfig(steps=command.steps, seed=command.seed),
            overwrite=command.overwrite,
            on_progress=display.show,
        )


def _print(output: Path, report: "TuneReport") -> None:
    from vidrestore.cli.display.progress_bars import print_line

    quality, before, after = report.quality, report.before, report.after
    color = "black and white" if quality.is_gray else "color"
    lines = (
        f"film: {color}, faces with {quality.resolution_px:.0f} px of detail, noise of "
        f"{quality.noise:.1f} levels",
        f"trained on {report.trained_faces} faces, judged on {report.held_out_faces} others, "
        "beside lite at the detail that is as sharp:",
        f"  PSNR {before.psnr_db:.2f} to {after.psnr_db:.2f} dB",
        f"  identity distance {before.identity_distance:.3f} to {after.identity_distance:.3f}",
        f"  sharpness {after.sharpness:.2f} of the true faces'",
        f"{output}: restore with --model {output}",
    )
    for line in lines:
        print_line(line, stream=sys.stderr)
