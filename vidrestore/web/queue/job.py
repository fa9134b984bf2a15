"""A film in the queue."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

JobState: TypeAlias = Literal["waiting", "running", "done", "failed", "canceled"]
STATES: tuple[JobState, ...] = get_args(JobState)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A film, what is done with it, and what became of it."""

    id: str
    """Hexadecimal digits; names its folder and is part of its addresses."""
    source: Path
    output: Path
    words: tuple[str, ...] = ()
    """Options of the settings."""
    kind: str = "film"
    """Of the source: ``film``, ``folder`` or ``picture``."""
    size_wh: tuple[int, int] = (0, 0)
    """Width and height of the source on the screen."""
    state: JobState = "waiting"
    is_resumed: bool = False
    """Whether an earlier run may have left finished segments."""
    error: str = ""
    """Last line of a run that failed."""
    pid: int | None = None
    """Process that restores it."""

    @property
    def review(self) -> Path:
        """Its review page."""
        return self.output.with_name(f"{self.output.name}.review.html")

    @property
    def report(self) -> Path:
        """The report of its run."""
        return self.output.with_name(f"{self.output.name}.report.json")

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``vidrestore`` that restore it for the first time."""
        files = [str(self.source), "-o", str(self.output), "--review", str(self.review)]
        # A project file beside the film must not change what was chosen on the page.
        return [*files, "--report", str(self.report), "--config=none", *self.words]

    @property
    def command_line(self) -> str:
        """The command to copy."""
        return shlex.join(["vidrestore", *self.arguments])

    def to_json(self) -> dict[str, Any]:
        """Return the values for the file of the queue."""
        return {**asdict(self), "source": str(self.source), "output": str(self.output)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "QueuedJob":
        """Return the job that ``to_json`` gave.

        Raises:
            ValueError: A value is missing or of another kind.
        """
        try:
            paths = {name: Path(values[name]) for name in ("source", "output")}
            words = tuple(map(str, values["words"]))
            width, height = map(int, values["size_wh"])
            changed = {"words": words, "size_wh": (width, height)}
            fields: dict[str, Any] = {**values, **paths, **changed}
            job = cls(**fields)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error
        if job.state not in STATES or not job.id.isalnum():
            raise ValueError(f"state {job.state!r} of job {job.id!r}")
        return job


@dataclass(frozen=True, slots=True)
class JobFiles:
    """Files of a job in the state folder."""

    folder: Path

    @property
    def progress(self) -> Path:
        """Written by ``--progress``."""
        return self.folder / "progress.json"

    @property
    def live_frame(self) -> Path:
        """The frame restored last."""
        return self.progress.with_suffix(".jpg")

    @property
    def log(self) -> Path:
        """What its runs print."""
        return self.folder / "log.txt"

    @property
    def viewing_copy(self) -> Path:
        """Source and result side by side, with sound, as browsers play it."""
        return self.folder / "view.mp4"
