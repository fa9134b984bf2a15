"""Rewrite arguments that tyro cannot parse."""

from collections.abc import Sequence
from itertools import zip_longest


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
