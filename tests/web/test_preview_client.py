"""The process of previews is warmed up once, before anybody waits for it."""

import json
import sys
from pathlib import Path

from support.web import wait_for

from vidrestore.web.preview.client import PreviewClient

STUB = """
import json, sys
for line in sys.stdin:
    with open(sys.argv[1], "a") as seen:
        seen.write(line)
    print("{}", flush=True)
"""


def test_the_preview_process_is_warmed_up_once(tmp_path: Path) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.touch()

    def seen() -> list[str]:
        return [next(iter(json.loads(line))) for line in requests.read_text().splitlines()]

    client = PreviewClient(program=(sys.executable, "-c", STUB, str(requests)))
    try:
        client.ask({"models": True})
        client.warm_up()
        wait_for(lambda: seen() == ["models", "warm_up"])
        client.ask({"path": "a.mkv"})
        client.warm_up()
        client.ask({"path": "b.mkv"})
        assert seen() == ["models", "warm_up", "path", "path"]
    finally:
        client.close()
