"""What the page does when something is chosen or pressed; returns plain values and HTML."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.settings import RestoreSettings, parse_track_strengths
from vidrestore.web.form import RawValue, option_words
from vidrestore.web.page.fragments import (
    error_html,
    info_html,
    job_html,
    note_html,
    preview_html,
    result_html,
)
from vidrestore.web.preview.frames import MAX_FRAMES
from vidrestore.web.queue.job import QueuedJob
from vidrestore.web.services import Services, free_path, output_path
from vidrestore.web.source_info import SourceInfo, read_source_info

_TRACK_STRENGTHS = "--track-strength="
_NUMBER = re.compile(r"-\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A source that was opened in a tab."""

    info: SourceInfo | None
    html: str


class Handlers:
    """The actions of the page; refusals become messages on it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def open_film(self, text: str) -> Opened:
        """Open what a path in an allowed folder names."""
        return self._open(lambda: self._services.films.resolve(text))

    def open_upload(self, text: str) -> Opened:
        """Open a file that was uploaded."""
        return self._open(lambda: self._services.uploads.resolve(text))

    def _open(self, resolve: Callable[[], Path]) -> Opened:
        try:
            path = resolve()
            self._services.previews.warm_up()
            info = read_source_info(path)
        except VidrestoreError as error:
            return Opened(info=None, html=error_html(str(error)))
        return Opened(info=info, html=info_html(info))

    def job(self, info: SourceInfo | None, raw: dict[str, RawValue], name: str) -> QueuedJob:
        """Return the job that the page describes; it is not in the queue yet.

        Raises:
            ConfigError: No film is open, or a value is not allowed.
        """
        if info is None:
            raise ConfigError("open a film, a folder of frames or a photo first")
        settings = self._services.form.settings(raw)
        output = output_path(
            self._services.results, name, info, settings, taken=self._services.queue.outputs()
        )
        words = tuple(option_words(settings))
        return QueuedJob(id="0", source=info.path, output=output, words=words)

    def command_line(
        self, info: SourceInfo | None, raw: dict[str, RawValue], name: str
    ) -> tuple[str, str]:
        """Return the command to copy, and a message in HTML if there is none."""
        try:
            return self.job(info, raw, name).command_line, ""
        except VidrestoreError as error:
            return "", note_html(str(error)) if info is None else error_html(str(error))

    def start(
        self, info: SourceInfo | None, raw: dict[str, RawValue], name: str
    ) -> tuple[str | None, str]:
        """Put the film into the queue; return the id of its job, and a message in HTML."""
        try:
            job = self.job(info, raw, name)
            assert info is not None
            added = self._services.queue.add(
                job.source, job.output, job.words, kind=info.kind, size_wh=info.display_wh
            )
        except (VidrestoreError, OSError) as error:
            return None, error_html(str(error))
        self._services.runner.wake()
        return added.id, note_html(f"{job.source.name} is in the queue.")

    def again(self, job_id: str | None, strengths_text: str) -> tuple[str | None, str]:
        """Put a restored film into the queue again, with other strengths of its tracks.

        Args:
            job_id: The job that restored it.
            strengths_text: As of ``--track-strength``; empty for none.

        Returns:
            The id of the new job, and a message in HTML.
        """
        try:
            if job_id is None or (job := self._services.queue.get(job_id)).state != "done":
                raise ConfigError("choose a film that is restored first")
            words = _with_track_strengths(job.words, strengths_text.strip())
            output = free_path(
                job.output.parent,
                _NUMBER.sub("", job.output.stem),
                job.output.suffix,
                taken=self._services.queue.outputs(),
            )
            added = self._services.queue.add(
                job.source, output, words, kind=job.kind, size_wh=job.size_wh
            )
        except (VidrestoreError, OSError) as error:
            return None, error_html(str(error))
        self._services.runner.wake()
        return added.id, note_html(f"{job.source.name} is in the queue again, for {output.name}.")

    def preview(
        self, info: SourceInfo | None, raw: dict[str, RawValue], seconds: float, count: float
    ) -> str:
        """Return the viewer of frames around a time, before and after."""
        try:
            if info is None:
                raise ConfigError("open a film, a folder of frames or a photo first")
            self._services.form.settings(raw)
            token, folder = self._services.preview_store.new()
            answer = self._services.previews.ask(
                {
                    "path": str(info.path),
                    "values": raw,
                    "seconds": min(max(0.0, float(seconds)), info.duration_seconds),
                    "count": min(max(1, round(count)), MAX_FRAMES),
                    "folder": str(folder),
                }
            )
        except VidrestoreError as error:
            return error_html(str(error))
        return preview_html(token, answer["frames"])

    def choices(self) -> list[tuple[str, str]]:
        """Return label and id of every job of the queue."""
        return [
            (f"{number}. {job.source.name}: {job.state}", job.id)
            for number, job in enumerate(self._services.queue.jobs(), start=1)
        ]

    def selected(self, job_id: str | None) -> QueuedJob | None:
        """Return the job that is selected; without one, that which runs."""
        jobs = self._services.queue.jobs()
        chosen = [job for job in jobs if job.id == job_id]
        return next(iter(chosen), next((job for job in jobs if job.state == "running"), None))

    def job_view(self, job: QueuedJob | None) -> str:
        """Return what is shown of a job: its progress or its result."""
        if job is None:
            return note_html("Choose a film of the queue to see how far it is, or its result.")
        html = job_html(
            job,
            self._services.runner.progress(job.id),
            has_live_frame=self._services.queue.files(job.id).live_frame.is_file(),
        )
        return html + result_html(job, self._copy_state(job)) if job.state == "done" else html

    def _copy_state(self, job: QueuedJob) -> str:
        if job.kind != "film" or not job.output.is_file() or not all(job.size_wh):
            return ""
        starts = [word for word in job.words if word.startswith("--start=")]
        return self._services.copies.request(
            self._services.queue.files(job.id).viewing_copy,
            source=job.source,
            result=job.output,
            size_wh=job.size_wh,
            start=starts[0].removeprefix("--start=") if starts else "",
        )

    def act(self, action: str, job_id: str | None) -> str:
        """Cancel, resume, advance or remove the selected job; return a message in HTML."""
        try:
            if job_id is None:
                raise ConfigError("choose a film of the queue first")
            return note_html(self._act(action, job_id))
        except (VidrestoreError, OSError) as error:
            return error_html(str(error))

    def _act(self, action: str, job_id: str) -> str:
        queue, runner = self._services.queue, self._services.runner
        name = queue.get(job_id).source.name
        if action == "cancel":
            runner.cancel(job_id)
            return f"{name} is being canceled; what is finished is kept."
        if action == "resume":
            queue.retry(job_id)
            runner.wake()
            return f"{name} continues when it is its turn."
        if action == "next":
            queue.move_to_front(job_id)
            return f"{name} is the next."
        removed = queue.remove(job_id)
        self._remove_upload(removed.source)
        return f"{name} is no longer in the queue; its result stays in {self._services.results}."

    def _remove_upload(self, source: Path) -> None:
        """Remove an uploaded file that no other job needs."""
        others = {job.source for job in self._services.queue.jobs()}
        if source not in others and self._services.uploads.contains(source):
            source.unlink(missing_ok=True)


def _with_track_strengths(words: Sequence[str], text: str) -> list[str]:
    """Return the options of a job with other strengths of tracks.

    Raises:
        ConfigError: They are not strengths of tracks, or those that the job has.
    """
    try:
        strengths = parse_track_strengths(text) if text else ()
    except ValueError as error:
        raise ConfigError(f"strengths of tracks: {error}") from error
    RestoreSettings(track_strengths=strengths)
    changed = [word for word in words if not word.startswith(_TRACK_STRENGTHS)]
    if strengths:
        changed.append(_TRACK_STRENGTHS + ",".join(map(str, strengths)))
    if changed == [*words]:
        raise ConfigError("no strength was changed; move the slider of a track, or type 1=0.6")
    return changed
