"""Options of other programs, and what to use instead."""

from collections.abc import Sequence
from pathlib import Path

from vidrestore.cli.exit_codes import UsageError

_ADVICE = {
    "-i": "the source is given without an option: vidrestore FILE -o FILE",
    "--input": "the source is given without an option: vidrestore FILE -o FILE",
    "--upscale": "use --background --scale 2 to enlarge the whole picture",
    "--outscale": "use --background --scale 2 to enlarge the whole picture",
    "--bg_upsampler": "use --background to restore the whole picture",
    "--gpu": "use --device cuda, or --device cuda:1 for the second one",
    "--gpu-id": "use --device cuda:N",
    "--cpu": "use --device cpu",
    "-w": "use --strength 0.5 for half the effect; for --model codeformer, --fidelity 0.5",
    "--weight": "use --strength 0.5 for half the effect; for --model codeformer, --fidelity 0.5",
    "-v": "use --version for the version",
}
"""Option of another program -> advice."""


def check_first_mistakes(argv: Sequence[str]) -> None:
    """Refuse options that new users know from other programs, with advice.

    Args:
        argv: The arguments of the root command.

    Raises:
        UsageError: An option belongs to another program, or the output is given without ``-o``.
    """
    for word in argv:
        name = word.partition("=")[0]
        if name in _ADVICE:
            raise UsageError(f"there is no option {name}; {_ADVICE[name]}")
    if len(argv) >= 2 and not {"-o", "--output", "-h", "--help"} & {*argv}:
        source, output = argv[:2]
        named = all(word == "-" or not word.startswith("-") for word in (source, output))
        if named and not any(word.startswith(("-o", "--output=")) for word in argv):
            more = " ".join(["", *argv[2:]])
            hint = f"vidrestore {source} -o {output}{more}"
            raise UsageError(f"name the output {Path(output).name or output} with -o: {hint}")
