"""``vidrestore weights``: list, fetch and check the published checkpoints."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeAlias

import tyro
from rich.table import Column, Table

from vidrestore.cli.display.progress_bars import (
    download_display,
    print_line,
    stdout_console,
    warnings_on_stderr,
)
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.errors import WeightsError
from vidrestore.weights import cache
from vidrestore.weights.manifest import WEIGHTS, weights_entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCommand:
    """List the published checkpoints, and which of them are downloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchCommand:
    """Download one checkpoint into the weights folder and verify its checksum."""

    name: tyro.conf.Positional[str]
    """Name of the checkpoint, as in the list."""
    quiet: bool = False
    """Print the path and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyCommand:
    """Verify the checksum of one checkpoint, or of all downloaded ones."""

    name: tyro.conf.Positional[str | None] = None
    """Name of the checkpoint; without it, all downloaded ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCommand:
    """Print the weights folder (set VIDRESTORE_WEIGHTS to choose another)."""


WeightsCommand: TypeAlias = (
    Annotated[ListCommand, tyro.conf.subcommand("list")]
    | Annotated[FetchCommand, tyro.conf.subcommand("fetch")]
    | Annotated[VerifyCommand, tyro.conf.subcommand("verify")]
    | Annotated[PathCommand, tyro.conf.subcommand("path")]
)


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore weights``."""
    command = tyro.cli(
        WeightsCommand,
        prog="vidrestore weights",
        description="Published checkpoints: list, fetch, verify. The model lite (vidrestore info "
        "lite) and the detector mtcnn are part of the program and need no download.",
        args=argv,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    match command:
        case ListCommand():
            _list()
        case FetchCommand():
            _fetch(command)
        case VerifyCommand():
            return _verify(command.name)
        case PathCommand():
            print(cache.weights_folder())
    return ExitCode.OK


def _list() -> None:
    # The user types these names next: they may wrap, but are never cut.
    table = Table(
        *[Column(title, no_wrap=True) for title in ("name", "size", "here")],
        *[Column(title, overflow="fold") for title in ("license", "for", "file")],
        box=None,
        pad_edge=False,
    )
    for name, entry in WEIGHTS.items():
        limits = ", non-commercial" if entry.non_commercial else ""
        limits = "" if limits.strip(", ") in entry.license else limits
        table.add_row(
            name,
            "?" if entry.size_bytes is None else f"{entry.size_bytes / 1e6:.1f} MB",
            _download_state(name),
            entry.license + limits,
            entry.purpose,
            entry.file_name,
        )
    stdout_console().print(table)


def _download_state(name: str) -> str:
    try:
        if cache.find(name) is not None:
            return "yes"
    except WeightsError:
        return "wrong size"
    return "partly" if cache.partial_bytes(name) else "no"


def _fetch(command: FetchCommand) -> None:
    entry = weights_entry(command.name)
    with (
        warnings_on_stderr(quiet=command.quiet),
        download_display(quiet=command.quiet) as show,
    ):
        path = cache.fetch(entry.name, on_progress=partial(show, entry.name))
    print(path)


def _verify(name: str | None) -> ExitCode:
    names = (
        [name]
        if name is not None
        else [entry for entry in WEIGHTS if _download_state(entry) in ("yes", "wrong size")]
    )
    code = ExitCode.OK
    for checkpoint in names:
        try:
            verified = cache.verify(checkpoint)
        except WeightsError as error:
            print_line(f"error: {error}", stream=sys.stderr)
            code = ExitCode.FAILED
            continue
        print(f"{checkpoint}: {_verification_text(verified)}")
    if not names:
        print(f"no checkpoints in {cache.weights_folder()}")
    return code


def _verification_text(verified: cache.Verified) -> str:
    if verified.expected_from == "nowhere":
        return f"not checked: no checksum is published; SHA-256 is {verified.sha256}"
    return f"good: SHA-256 is the one {_CHECKSUM_SOURCE[verified.expected_from]}"


_CHECKSUM_SOURCE = {"published": "published", "first download": "of the first download"}
