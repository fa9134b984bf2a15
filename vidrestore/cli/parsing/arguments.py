"""Parse the arguments of a command, and rewrite those that tyro cannot parse."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar

import tyro

T = TypeVar("T")


def parse_command(command: type[T], name: str, argv: Sequence[str]) -> T:
    """Return the arguments of a command that is declared for tyro alone; flags have no ``--no-``.

    Args:
        command: The dataclass of its arguments.
        name: Name of the command.
        argv: The arguments.
    """
    config = (tyro.conf.FlagCreatePairsOff,)
    return tyro.cli(command, prog=f"vidrestore {name}", args=argv, config=config)


def with_bare_background(argv: Sequence[str]) -> list[str]:
    """Return the arguments with a bare ``--background`` written as ``--background auto``.

    tyro has no options with an optional value.
    """
    words: list[str] = []
    for word, following in zip_longest(argv, argv[1:]):
        words.append(word)
        if word == "--background" and (following is None or following.startswith("-")):
            words.append("auto")
    return words
