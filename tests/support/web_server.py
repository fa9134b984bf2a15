"""``vidrestore web`` as a process, as a person starts it; some films of it are stubs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support import stub_queue_page

_END_SECONDS = 60


class WebServer:
    """A page that is being served, which can be crashed and started again."""

    def __init__(self, films: Path, state: Path, *, words: Sequence[str] = ()) -> None:
        """Start the page.

        Args:
            films: Folder whose films can be opened.
            state: The state folder.
            words: More options.
        """
        self.films, self.state = films, state
        self._words = [str(films), "--state", str(state), "--port", "0", *words]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it can be opened."""
        # What the page prints goes into a file: a full pipe would stop it.
        log = self.state.with_suffix(".log")
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, stub_queue_page.__file__, *self._words],
                stdin=subprocess.DEVNULL,
                stderr=errors,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        while not (text := log.read_text()).startswith("http") or "\n" not in text:
            assert self._process.poll() is None, text
            try:
                self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        self.url = text.split()[0]

    @property
    def results(self) -> Path:
        """Folder of restored films."""
        return self.state / "results"

    def jobs(self) -> list[dict[str, Any]]:
        """Return the queue on the disk."""
        return json.loads((self.state / "queue.json").read_text())["jobs"]

    def crash(self) -> None:
        """Kill the page and what it started, as a power cut does."""
        for job in self.jobs():
            if job["state"] == "running":
                os.killpg(job["pid"], signal.SIGKILL)
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        """Ask the page to end, as Ctrl-C does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=_END_SECONDS)
