"""Asks the process that restores previews; starts it when it is needed, and again if it dies."""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from vidrestore.errors import WorkerError

PROGRAM = (sys.executable, "-m", "vidrestore.web.preview.worker")
_IDLE_SECONDS = 600.0
"""Without a request for so long, the process is ended: its networks take memory."""


class PreviewClient:
    """One process, one request at a time. Safe for threads."""

    def __init__(
        self, *, program: Sequence[str] = PROGRAM, idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        """Start nothing yet.

        Args:
            program: Words that start the process.
            idle_seconds: After how long without a request it is ended.
        """
        self._program = tuple(program)
        self._idle_seconds = idle_seconds
        self._mutex = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._is_warm = False
        self._idle_timer: threading.Timer | None = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            WorkerError: The answer is an error, or the process died.
        """
        with self._mutex:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            try:
                answer = self._ask(request)
            finally:
                self._idle_timer = threading.Timer(self._idle_seconds, self._end_idle)
                self._idle_timer.daemon = True
                self._idle_timer.start()
        if "error" in answer:
            raise WorkerError(answer["error"])
        self._is_warm = self._is_warm or "models" not in request
        return answer

    def warm_up(self) -> None:
        """Let the process load its libraries and networks, unless it has; returns at once.

        A film was opened: whoever did that soon asks for a preview, and should not wait for torch.
        """
        if not self._is_warm and not self._mutex.locked():
            threading.Thread(target=self._warm_up, name="preview-warm-up", daemon=True).start()

    def _warm_up(self) -> None:
        # The request for a preview says what is wrong.
        with suppress(WorkerError):
            self.ask({"warm_up": True})

    def close(self) -> None:
        """End the process, even at work; another request starts a new one."""
        child = self._child
        if child is not None:
            child.kill()
        with self._mutex:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._end()

    def _end_idle(self) -> None:
        with self._mutex:
            self._end()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except OSError:
            line = ""
        if not line:
            code = child.wait()
            self._end()
            raise WorkerError(
                f"the preview process ended with code {code}; try again, or with another film"
            )
        return json.loads(line)

    def _running(self) -> "subprocess.Popen[str]":
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._is_warm = False
            self._child = subprocess.Popen(
                self._program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
            )
        return self._child

    def _end(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        self._child.communicate()
        self._child = None
