"""Runs the program on a fault in a new folder, and checks the folder afterwards."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.clips import Clip, make_clip, number_of, packets_of
from support.video_copies import frames_of

from vidrestore.cli import main
from vidrestore.types import Frame

LOSSLESS = ("--codec", "ffv1", "--device", "cpu", "--quiet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a run of the program."""

    code: int
    stderr: str
    report: dict[str, Any]
    """Empty if none was written."""
    output: Path

    def assert_refused(self, *words: str) -> None:
        """Assert that the run failed with one line with all these words, and wrote no report."""
        assert self.code == 1, (self.code, self.stderr)
        assert self.stderr.startswith("error: ")
        assert self.stderr.count("\n") == 1
        for word in words:
            assert word in self.stderr
        assert self.report == {}

    def assert_succeeded(self) -> "Outcome":
        """Assert that the run succeeded and printed nothing."""
        assert (self.code, self.stderr) == (0, "")
        return self

    def has_note(self, *words: str) -> bool:
        """Return whether one note of the report has all these words."""
        return any(all(word in note for word in words) for note in self.report["notes"])

    def frames(self) -> list[Frame]:
        """Return the frames of the output."""
        return frames_of(self.output)

    def numbers(self) -> list[int]:
        """Return the numbers shown in the frames of the output."""
        return [number_of(frame) for frame in self.frames()]

    def times_ms(self) -> list[int]:
        """Return the timestamps of the frames of the output in milliseconds."""
        return [round(frame.timestamp.seconds * 1000) for frame in self.frames()]

    def audio(self) -> list[bytes]:
        """Return the audio packets of the output."""
        return audio_packets(self.output)


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder in which the program is run."""

    folder: Path
    patch: pytest.MonkeyPatch

    def clip(self, name: str = "film.mkv", **clip: Any) -> Path:
        """Write a film whose frames are numbered."""
        return make_clip(self.folder / name, Clip(**clip))

    def restore(self, source: Path | str, *options: str, output: Path | str = "out.mkv") -> Outcome:
        """Run the program, and assert that it changed no file that existed before."""
        target = self.folder / output
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        before = self.contents()
        message = io.StringIO()
        arguments = [str(source), "-o", str(target), *LOSSLESS, "--report", str(report), *options]
        with redirect_stderr(message):
            code = main(arguments)
        after = self.contents()
        if code != 0:
            assert after == before, "a failed run left or removed files"
        else:
            kept = {name: stamp for name, stamp in before.items() if name in after}
            if "--overwrite" not in options:
                assert kept == before
                assert all(after[name] == stamp for name, stamp in kept.items())
        return Outcome(
            code=int(code),
            stderr=message.getvalue(),
            report=json.loads(report.read_text()) if report.exists() else {},
            output=target,
        )

    def contents(self) -> dict[str, tuple[int, int, int]]:
        """Return the files in the folder by name, with what changes when a file is touched."""
        result: dict[str, tuple[int, int, int]] = {}
        for path in self.folder.rglob("*"):
            stat = path.lstat()
            touched = 0 if path.is_dir() else stat.st_mtime_ns
            result[str(path.relative_to(self.folder))] = (stat.st_ino, touched, stat.st_mode)
        return result


def audio_packets(path: Path) -> list[bytes]:
    """Return the packets of the first audio stream of a film."""
    return [packet.data for packet in packets_of(path, "audio")]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table."""

    chapter: str
    what: str
    """What is wrong."""
    outcome: str
    """What happens."""
    check: Callable[[Bench], None]
    """Makes the fault and asserts the outcome."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """The rows under one heading."""

    title: str
    faults: list[Fault]

    def __call__(
        self, what: str, outcome: str
    ) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
        """Return a decorator that adds a row to the table."""

        def register(check: Callable[[Bench], None]) -> Callable[[Bench], None]:
            self.faults.append(Fault(self.title, what, outcome, check))
            return check

        return register


def chapter(title: str) -> Chapter:
    """Return a chapter without rows."""
    return Chapter(title, [])
