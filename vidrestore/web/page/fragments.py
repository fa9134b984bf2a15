"""Fragments of HTML. Every text of a film, a file name or an error is escaped here."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from vidrestore.settings import Profile, ProfileName
from vidrestore.text import clock_text, count_text
from vidrestore.web.queue.job import QueuedJob
from vidrestore.web.source_info import SourceInfo

_STATES = {
    "waiting": "waits for its turn",
    "running": "is being restored",
    "done": "is restored",
    "failed": "could not be restored",
    "canceled": "was canceled; what is finished is kept",
}
_SHOWN_IMAGES = (".png", ".jpg", ".jpeg", ".bmp")


def error_html(message: str) -> str:
    """Return a message about what went wrong."""
    return f'<p class="vr-error" role="alert">{escape(message)}</p>'


def note_html(message: str) -> str:
    """Return a plain line."""
    return f'<p class="vr-note">{escape(message)}</p>'


def info_html(info: SourceInfo) -> str:
    """Return what a source is: sentences, and all details to open."""
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in info.sentences)
    rows = "".join(
        f"<tr><th scope=row>{escape(label)}</th><td>{escape(value)}</td></tr>"
        for label, value in info.details
    )
    return (
        f'<div class="vr-info"><h3>{escape(info.path.name)}</h3>{sentences}'
        f"<details><summary>All details</summary><div class=vr-scroll><table>{rows}</table></div>"
        "</details></div>"
    )


def profile_html(name: ProfileName, profile: Profile) -> str:
    """Return the card of a profile: a picture, what it sets, what it is for."""
    data = (files("vidrestore.web") / "data" / f"profile_{name}.jpg").read_bytes()
    image = f"data:image/jpeg;base64,{b64encode(data).decode('ascii')}"
    options = " ".join(profile.option_words()) or "the defaults"
    return (
        f'<div class="vr-card"><img src="{image}" width=220 height=220 alt="a face, its left half '
        f'before and its right half after {escape(name)}"><div><h3>{escape(name)}</h3>'
        f"<code>{escape(options)}</code><p>{escape(profile.help)}</p></div></div>"
    )


def preview_html(token: str, frames: Sequence[Mapping[str, Any]]) -> str:
    """Return the viewer of preview frames.

    Args:
        token: Of the folder of images.
        frames: As ``PreviewFrame.to_json``.
    """
    entries = [
        {
            "before": f"previews/{token}/{frame['before']}",
            "after": f"previews/{token}/{frame['after']}",
            "width": frame["width"],
            "height": frame["height"],
            "seconds": frame["seconds"],
            "label": f"{frame['seconds']:.2f} s",
            "caption": f"at {frame['seconds']:.2f} s, {count_text(frame['faces'], 'face')}",
        }
        for frame in frames
    ]
    data = escape(json.dumps(entries))
    return f'<div class="vr-viewer" data-name="preview" data-frames="{data}"></div>'


def job_html(job: QueuedJob, progress: Mapping[str, Any] | None, *, has_live_frame: bool) -> str:
    """Return the state of a film: while it runs, how far it is, with the latest frame if any."""
    head = f"<h3>{escape(job.source.name)}</h3><p>{_STATES[job.state]}</p>"
    if job.state == "failed":
        head += error_html(job.error)
    if job.state == "running":
        head += progress_html(progress or {"stage": "starting"})
        # The number makes the browser ask again.
        number = (progress or {}).get("frames_done")
        if has_live_frame:
            head += f'<img class=vr-live src="jobs/{job.id}/live?{number}" alt="the latest frame">'
    return f'<div class="vr-job" role="status">{head}</div>'


def progress_html(progress: Mapping[str, Any]) -> str:
    """Return a bar and a line of numbers."""
    done, total = progress.get("frames_done"), progress.get("frames_total")
    bar = f'value="{min(done, total)}" max="{total}"' if done is not None and total else ""
    line = escape(progress_line(progress))
    return f'<progress {bar} aria-label="share done"></progress><p class=vr-line>{line}</p>'


def progress_line(progress: Mapping[str, Any]) -> str:
    """Return stage, frames, rate, time left and faces in one line."""
    stage = str(progress.get("stage"))
    if stage == "downloading":
        total = progress.get("bytes_total")
        of_total = f" of {total / 1e6:.1f}" if total else ""
        done = f"{progress.get('bytes_done', 0) / 1e6:.1f}"
        return f"downloading {progress.get('name')}: {done}{of_total} MB"
    parts = [stage]
    done, total = progress.get("frames_done"), progress.get("frames_total")
    if done is not None:
        parts.append(f"{done} of {total} frames" if total else f"{done} frames")
    if progress.get("frame_share"):
        parts.append(f"{100 * progress['frame_share']:.0f} % of the next")
    if progress.get("frames_per_second"):
        parts.append(f"{progress['frames_per_second']:.1f} frames per second")
    if progress.get("seconds_left") is not None:
        parts.append(f"{clock_text(progress['seconds_left'])} left")
    if progress.get("faces_done") is not None:
        parts.append(count_text(progress["faces_done"], "face"))
    return ", ".join(parts)


def result_html(job: QueuedJob, copy_state: str) -> str:
    """Return the result of a film: what it looks like, and its files.

    Args:
        job: A job that is done.
        copy_state: As of ``ViewingCopies.request``; empty for what is no film.
    """
    html = f"<p>The result is <code>{escape(str(job.output))}</code>.</p>"
    if copy_state == "ready":
        html += (
            f'<video controls preload=metadata src="jobs/{job.id}/view"></video>'
            "<p>Left: the source. Right: the result, with its sound.</p>"
        )
    elif copy_state == "making":
        html += '<p role="status">The film of both side by side is being made …</p>'
    elif copy_state:
        html += error_html(f"no film of both side by side: {copy_state}")
    elif job.output.suffix.lower() in _SHOWN_IMAGES:
        html += f'<img src="jobs/{job.id}/result" alt="the result">'
    if job.review.is_file():
        html += (
            "<details class=vr-faces><summary>Look at every face, and change how strongly it is "
            f'restored</summary><iframe src="jobs/{job.id}/review" title="review page" '
            'loading=lazy sandbox="allow-scripts allow-downloads"></iframe></details>'
        )
    links = [("review", "Review page", ' target="_blank" rel="noopener"'), ("report", "Report", "")]
    if job.output.is_file():
        links.append(("download", "Download the result", " download"))
    anchors = "".join(
        f'<a href="jobs/{job.id}/{kind}"{more}>{text}</a>' for kind, text, more in links
    )
    return f'<div class="vr-result">{html}<p class=vr-links>{anchors}</p></div>'
