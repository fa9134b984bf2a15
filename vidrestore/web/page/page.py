"""The page as components of Gradio.

https://www.gradio.app/docs
"""

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from vidrestore.review import viewer_parts
from vidrestore.settings import PROFILES, ProfileName
from vidrestore.web.page.fragments import note_html, profile_html
from vidrestore.web.page.handlers import Handlers, Opened
from vidrestore.web.page.inputs import FormInputs
from vidrestore.web.preview.frames import MAX_FRAMES
from vidrestore.web.services import Services
from vidrestore.web.source_info import SourceInfo

TITLE = "vidrestore"
_MAX_LISTED_FILMS = 1000
_POLL_SECONDS = 1.0
_PREVIEW_FRAMES = 2
_QUIET = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
"""Of events that are quick and frequent."""
_SLOW = {"api_visibility": "private"}
_ACTIONS = (("cancel", "Cancel"), ("resume", "Resume"), ("next", "Run next"), ("remove", "Remove"))
_ENABLED = {
    "cancel": ("waiting", "running"),
    "resume": ("canceled", "failed"),
    "next": ("waiting",),
    "remove": ("waiting", "done", "failed", "canceled"),
}
"""Action -> states in which it is possible."""


def page_head() -> str:
    """Return scripts and styles for the head of the page."""
    folder = files("vidrestore.web") / "data"
    script, style = viewer_parts()
    own_script = (folder / "web.js").read_text(encoding="utf-8")
    own_style = (folder / "web.css").read_text(encoding="utf-8")
    return f"<style>{own_style}\n{style}</style><script>{script}\n{own_script}</script>"


def build_page(gradio: Any, services: Services) -> Any:
    """Return the page.

    Args:
        gradio: The module.
        services: What is behind it.
    """
    return _PageBuilder(gradio, services).build()


class _PageBuilder:
    def __init__(self, gradio: Any, services: Services) -> None:
        self._gr = gradio
        self._services = services
        self._handlers = Handlers(services)
        self._inputs = FormInputs(services.form)

    def build(self) -> Any:
        gr = self._gr
        with gr.Blocks(analytics_enabled=False, title=TITLE) as page:
            gr.HTML("<h1>vidrestore</h1>", elem_classes="vr-title", padding=False)
            self._info = gr.State(None)
            with gr.Tab("Restore"):
                self._build_source()
                self._build_settings()
                self._build_preview()
                self._build_start()
            with gr.Tab("Queue and results"):
                self._build_queue()
            self._connect(page)
        return page

    def _build_source(self) -> None:
        gr = self._gr
        gr.HTML("<h2>1. Film, photo or folder of frames</h2>", padding=False)
        with gr.Row():
            with gr.Column():
                self._upload = gr.File(label="File", type="filepath", height=140)
            with gr.Column():
                self._path = gr.Dropdown(
                    choices=self._services.films.films(limit=_MAX_LISTED_FILMS),
                    value=None,
                    allow_custom_value=True,
                    label="or choose one on this machine",
                    info="In the folders named at the start. Type the path of a folder of frames.",
                    elem_id="path",
                    interactive=bool(self._services.films.folders),
                )
                self._open = gr.Button("Open", elem_id="open")
        self._source = gr.HTML(note_html("Nothing is open yet."), elem_id="source", padding=False)

    def _build_settings(self) -> None:
        gr, form = self._gr, self._services.form
        gr.HTML("<h2>2. Purpose and settings</h2>", padding=False)
        self._profiles: dict[ProfileName, Any] = {}
        with gr.Row(elem_classes="vr-cards", equal_height=True):
            for name, profile in PROFILES.items():
                with gr.Column(min_width=240):
                    gr.HTML(profile_html(name, profile), padding=False)
                    self._profiles[name] = gr.Button(f"Use {name}", elem_id=f"profile-{name}")
        own_detail = next(
            (entry["detail"] for entry in self._services.models if entry["detail"]), 0.5
        )
        starts = {"detail": own_detail}
        with gr.Row(elem_classes="vr-settings"), gr.Column():
            self._inputs.add(gr, form.first, starts)
        with gr.Accordion("More settings", open=False), gr.Column(elem_classes="vr-settings"):
            self._inputs.add(gr, form.more, starts)

    def _build_preview(self) -> None:
        gr = self._gr
        gr.HTML("<h2>3. Preview</h2>", padding=False)
        with gr.Row():
            self._seconds = gr.Slider(
                0, 1, value=0, step=0.04, label="time in seconds", elem_id="playhead"
            )
            self._count = gr.Slider(
                1, MAX_FRAMES, value=_PREVIEW_FRAMES, step=1, label="frames", elem_id="count"
            )
        self._preview_button = gr.Button("Preview before and after", elem_id="preview-button")
        self._preview = gr.HTML(elem_id="preview", padding=False)

    def _build_start(self) -> None:
        gr = self._gr
        gr.HTML("<h2>4. Start</h2>", padding=False)
        self._name = gr.Textbox(
            label="name of the result",
            placeholder="empty: the film's name with “.restored”",
            info=f"It is written into {self._services.results}",
            max_length=200,
            elem_id="name",
        )
        self._command = gr.Textbox(
            label="the same on the command line",
            interactive=False,
            lines=2,
            buttons=["copy"],
            elem_id="command",
        )
        self._message = gr.HTML(elem_id="message", padding=False)
        self._start = gr.Button("Restore", variant="primary", elem_id="start")

    def _build_queue(self) -> None:
        gr = self._gr
        self._jobs = gr.Radio(
            choices=self._handlers.choices(), value=None, label="Films", elem_id="jobs"
        )
        self._shown_jobs = gr.State([])
        self._shown_view = gr.State("")
        with gr.Row():
            self._actions = {
                action: gr.Button(text, interactive=False, elem_id=action, min_width=90)
                for action, text in _ACTIONS
            }
        self._job_message = gr.HTML(elem_id="job-message", padding=False)
        self._job = gr.HTML(self._handlers.job_view(None), elem_id="job", padding=False)
        with gr.Group(visible=False) as self._again_group:
            self._strengths = gr.Textbox(
                label="strengths of tracks",
                placeholder="1=0.6,3=0",
                info="The sliders beside the faces fill this in. Or type track=strength.",
                max_length=4000,
                elem_id="strengths",
            )
            self._again = gr.Button("Restore again with these strengths", elem_id="again")

    def _connect(self, page: Any) -> None:
        gr, values = self._gr, [self._info, self._name, *self._inputs.components]
        opened = [self._info, self._source, self._seconds]
        described = [self._command, self._message]
        for event, source, action in (
            (self._upload.upload, self._upload, self._handlers.open_upload),
            (self._open.click, self._path, self._handlers.open_film),
        ):
            event(
                self._opening(action), source, opened, show_progress_on=self._source, **_SLOW
            ).then(self._describe, values, described, **_QUIET)
        for name, button in self._profiles.items():
            button.click(self._profile(name), None, self._inputs.components, **_QUIET)
        gr.on(
            [component.change for component in (self._name, *self._inputs.components)],
            self._describe,
            values,
            described,
            trigger_mode="always_last",
            **_QUIET,
        )
        self._preview_button.click(
            self._show_preview,
            [self._seconds, self._count, *values],
            self._preview,
            concurrency_limit=1,
            **_SLOW,
        )
        polled = [
            self._jobs,
            self._shown_jobs,
            self._job,
            self._shown_view,
            self._again_group,
            *self._actions.values(),
        ]
        poll = (self._poll, [self._jobs, self._shown_jobs, self._shown_view], polled)
        self._start.click(self._start_job, values, [self._message, self._jobs], **_QUIET)
        for action, button in self._actions.items():
            button.click(self._act(action), self._jobs, self._job_message, **_QUIET).then(
                *poll, **_QUIET
            )
        self._again.click(
            self._restore_again,
            [self._jobs, self._strengths],
            [self._job_message, self._jobs],
            **_QUIET,
        )
        self._jobs.change(*poll, **_QUIET)
        self._jobs.change(lambda: "", None, self._strengths, **_QUIET)
        gr.Timer(_POLL_SECONDS).tick(*poll, trigger_mode="once", **_QUIET)
        page.load(*poll, **_QUIET)
        page.load(self._describe, values, described, **_QUIET)

    def _opening(self, action: Callable[[str], Opened]) -> Callable[[str | None], Any]:
        def open_source(text: str | None) -> Any:
            opened = action(text or "")
            info = opened.info
            last = max(0.0, info.duration_seconds - 0.04) if info is not None else 0.0
            step = round(1 / info.frames_per_second, 4) if info and info.frames_per_second else 0.04
            playhead = self._gr.update(
                maximum=last or 1, value=last / 2, step=step, interactive=last > 0
            )
            return info, opened.html, playhead

        return open_source

    def _describe(self, info: SourceInfo | None, name: str, *values: Any) -> tuple[str, str]:
        return self._handlers.command_line(info, self._inputs.raw(values), name)

    def _profile(self, name: ProfileName) -> Callable[[], Any]:
        return lambda: self._inputs.shown(self._gr, self._services.form.profile(name))

    def _show_preview(
        self, seconds: float, count: float, info: SourceInfo | None, _name: str, *values: Any
    ) -> str:
        return self._handlers.preview(info, self._inputs.raw(values), seconds, count)

    def _start_job(self, info: SourceInfo | None, name: str, *values: Any) -> Any:
        return self._selecting(*self._handlers.start(info, self._inputs.raw(values), name))

    def _restore_again(self, job_id: str | None, strengths: str) -> Any:
        return self._selecting(*self._handlers.again(job_id, strengths))

    def _selecting(self, job_id: str | None, message: str) -> Any:
        """Return the updates of a message, and of the queue if a job was added to it."""
        if job_id is None:
            return message, self._gr.skip()
        return message, self._gr.update(choices=self._handlers.choices(), value=job_id)

    def _act(self, action: str) -> Callable[[str | None], str]:
        return lambda job_id: self._handlers.act(action, job_id)

    def _poll(self, job_id: str | None, shown_jobs: Sequence[Any], shown_view: str) -> Any:
        """Return updates of what changed, so that nothing else loses its place or its sound."""
        gr, choices = self._gr, self._handlers.choices()
        selected = self._handlers.selected(job_id)
        view = self._handlers.job_view(selected)
        known = [list(entry) for entry in choices]
        is_gone = job_id is not None and job_id not in [entry[1] for entry in known]
        jobs = gr.skip()
        if known != [list(entry) for entry in shown_jobs]:
            jobs = gr.update(choices=choices, **({"value": None} if is_gone else {}))
        state = None if selected is None or selected.id != job_id else selected.state
        buttons = [gr.update(interactive=state in _ENABLED[action]) for action in self._actions]
        job = gr.skip() if view == shown_view else view
        return jobs, known, job, view, gr.update(visible=state == "done"), *buttons
