"""Put reports of ``scripts/evaluate.py`` into one table, as Markdown or LaTeX.

    python scripts/score_table.py lite.json gfpgan.json > scores.md
    python scripts/score_table.py lite.json gfpgan.json --latex > scores.tex

Every row names its data, the degradation, the number of images or clips, and the seed.
"""

import argparse
import json
import sys
from pathlib import Path

from vidrestore.metrics.score_table import score_table


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", type=Path, nargs="+", help="files written by evaluate.py --json")
    parser.add_argument("--latex", action="store_true", help="for booktabs; default: Markdown")
    arguments = parser.parse_args()
    try:
        table = score_table(json.loads(path.read_text()) for path in arguments.reports)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(table.latex() if arguments.latex else table.markdown(), end="")


if __name__ == "__main__":
    main()
