"""What a command line has to be changed into before tyro reads it."""

from collections.abc import Sequence
from itertools import zip_longest


def with_bare_background(argv: Sequence[str]) -> list[str]:
    """Return the arguments with a bare ``--background`` written as ``--background auto``.

    tyro has no option with an optional value that does not also take the argument after it.
    """
    words: list[str] = []
    for word, following in zip_longest(argv, argv[1:]):
        words.append(word)
        if word == "--background" and (following is None or following.startswith("-")):
            words.append("auto")
    return words
