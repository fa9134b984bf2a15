"""The packaged networks for ``--background``."""

from difflib import get_close_matches

from vidrestore.errors import UnknownModelError

UPSCALER_NAMES = ("compact", "realesrgan")
"""Networks for whole frames that the package contains."""


def check_upscaler_name(name: str) -> None:
    """Check the name of a network for whole frames.

    Raises:
        UnknownModelError: There is none; the message lists those there are.
    """
    if name in UPSCALER_NAMES:
        return
    near = get_close_matches(name, UPSCALER_NAMES, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownModelError(
        f"unknown background {name!r}; {hint}choose from: {', '.join(UPSCALER_NAMES)}, or name "
        "a checkpoint file"
    )
