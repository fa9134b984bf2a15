"""``vidrestore web`` whose films named slow or broken are run by ``web_program.py``.

All others are restored by the program itself. The arguments are those of ``vidrestore web``.
"""

import sys
from functools import partial
from pathlib import Path

from vidrestore.cli import web
from vidrestore.web import server
from vidrestore.web.queue.runner import Runner

STUBBED = ("slow", "broken")


def main(argv: list[str]) -> int:
    """Serve the page, or, as a child of it, restore a film."""
    if argv[:1] != ["--restore"]:
        program = (sys.executable, __file__, "--restore")
        server.Runner = partial(Runner, program=program)  # pyright: ignore
        return web.run(argv)
    arguments = argv[1:]
    if Path(arguments[0]).stem in STUBBED:
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from support import web_program

        return web_program.main(arguments)
    from vidrestore.cli import main as restore

    return restore(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
