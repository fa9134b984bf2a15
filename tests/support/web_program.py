"""Stands in for ``vidrestore`` as a child of the queue; the source's name selects what it does.

python web_program.py SOURCE -o OUTPUT ... --progress FILE [--resume]
"""

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


def main(argv: list[str]) -> int:
    source, output = Path(argv[0]), Path(argv[argv.index("-o") + 1])
    progress = Path(argv[argv.index("--progress") + 1])
    with (output.parent / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(argv) + "\n")
    progress.write_text(json.dumps({"stage": "restoring", "frames_done": 3, "frames_total": 9}))
    if source.stem == "broken":
        sys.stderr.write("error: broken.mkv: no video stream; get another copy\n")
        return 1
    if source.stem == "crash":
        signal.raise_signal(signal.SIGKILL)
    if source.stem == "slow" and "--resume" not in argv:
        signal.signal(signal.SIGTERM, _leave)
        time.sleep(60)
    output.write_bytes(b"restored")
    Path(argv[argv.index("--report") + 1]).write_text("{}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
