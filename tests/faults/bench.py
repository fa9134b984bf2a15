"""A place to try a fault in: the whole program, in a folder that is looked through afterwards."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.clips import Clip, make_clip, number_of, packets_of

from vidrestore.cli import main
from vidrestore.media import open_source
from vidrestore.types import Frame

LOSSLESS = ("--codec", "ffv1", "--device", "cpu", "--quiet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run of the program came to."""

    code: int
    said: str
    """On stderr."""
    report: dict[str, Any]
    """Empty where none was written."""
    output: Path

    def refused(self, *words: str) -> None:
        """Hold that it failed with one line that has all these words, and wrote nothing."""
        assert self.code == 1, (self.code, self.said)
        assert self.said.startswith("error: ")
        assert self.said.count("\n") == 1
        for word in words:
            assert word in self.said
        assert self.report == {}

    def done(self) -> "Outcome":
        """Assert that the run succeeded and printed nothing."""
        assert (self.code, self.said) == (0, "")
        return self

    def noted(self, *words: str) -> bool:
        """Whether one note of the report has all these words."""
        return any(all(word in note for word in words) for note in self.report["notes"])

    def frames(self) -> list[Frame]:
        """Return the frames of the output."""
        return frames_of(self.output)

    def numbers(self) -> list[int]:
        """Return the numbers that the frames of the output carry."""
        return [number_of(frame) for frame in self.frames()]

    def times_ms(self) -> list[int]:
        """Return when the frames of the output are shown."""
        return [round(frame.timestamp.seconds * 1000) for frame in self.frames()]

    def sound(self) -> list[bytes]:
        """Return the audio packets of the output."""
        return sound_of(self.output)


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder, and the program."""

    folder: Path
    patch: pytest.MonkeyPatch

    def clip(self, name: str = "film.mkv", **clip: Any) -> Path:
        """Write a film whose frames are numbered."""
        return make_clip(self.folder / name, Clip(**clip))

    def restore(self, source: Path | str, *options: str, output: Path | str = "out.mkv") -> Outcome:
        """Run the program and hold that what was there before is still there."""
        target = self.folder / output
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        before = self.contents()
        message = io.StringIO()
        words = [str(source), "-o", str(target), *LOSSLESS, "--report", str(report), *options]
        with redirect_stderr(message):
            code = main(words)
        after = self.contents()
        if code != 0:
            assert after == before, "a run that failed left something, or took something away"
        else:
            kept = {name: stamp for name, stamp in before.items() if name in after}
            if "--overwrite" not in options:
                assert kept == before
                assert all(after[name] == stamp for name, stamp in kept.items())
        return Outcome(
            code=int(code),
            said=message.getvalue(),
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


def frames_of(path: Path) -> list[Frame]:
    """Return the frames of a film or a folder."""
    with open_source(path) as source:
        return list(source)


def sound_of(path: Path) -> list[bytes]:
    """Return the packets of the first audio stream of a film."""
    return [packet.data for packet in packets_of(path, "audio")]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table."""

    chapter: str
    what: str
    """What is wrong."""
    then: str
    """What happens."""
    tried: Callable[[Bench], None]
    """Makes it wrong and holds that so it is."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Rows of one kind."""

    title: str
    faults: list[Fault]

    def __call__(
        self, what: str, then: str
    ) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
        """Enter a function into the table."""

        def entered(tried: Callable[[Bench], None]) -> Callable[[Bench], None]:
            self.faults.append(Fault(self.title, what, then, tried))
            return tried

        return entered


def chapter(title: str) -> Chapter:
    """Return a chapter without rows."""
    return Chapter(title, [])
