"""``vidrestore profiles``: list the profiles and what they set."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.parsing.arguments import parse_command
from vidrestore.settings import PROFILES

_WIDTH = 79


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilesCommand:
    """List the profiles of --profile, and the options that each of them sets."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore profiles``."""
    parse_command(ProfilesCommand, "profiles", argv)
    for name, profile in PROFILES.items():
        print(f"{name}: {' '.join(profile.option_words()) or 'the defaults'}")
        print(fill(profile.help, _WIDTH, initial_indent="  ", subsequent_indent="  "))
    return ExitCode.OK
