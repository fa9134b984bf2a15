"""Serves the page: puts its parts together, binds to an address, and ends them in order."""

import os
import shutil
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from vidrestore.errors import ConfigError
from vidrestore.storage.file_errors import file_errors
from vidrestore.web.allowed_folders import AllowedFolders
from vidrestore.web.form import Form
from vidrestore.web.guard import LOCAL_HOSTS, Guard
from vidrestore.web.preview.client import PreviewClient
from vidrestore.web.preview.store import PreviewStore
from vidrestore.web.queue.runner import Runner
from vidrestore.web.queue.store import JobQueue
from vidrestore.web.services import Services
from vidrestore.web.viewing_copy import ViewingCopies

INSTALL = "vidrestore web needs Gradio; install it: pip install 'vidrestore[web]'"
_CLOSE_SECONDS = 2
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO_FONTS = ("ui-monospace", "Menlo", "Consolas", "monospace")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """Where the page is, and what it may read and write."""

    folders: tuple[Path, ...]
    """Folders whose films can be opened."""
    state: Path
    """Folder of the queue, of uploads and of previews."""
    results: Path
    """Folder of restored films."""
    address: str = "127.0.0.1"
    port: int = 7860
    """0 takes any that is free."""
    password: str | None = None
    max_upload_bytes: int = 8 * 10**9

    def __post_init__(self) -> None:
        if self.address not in LOCAL_HOSTS and not self.password:
            raise ConfigError(
                f"--address {self.address}: others could reach the page; name a file with a "
                "password: --password-file FILE"
            )


def serve(config: WebConfig, on_ready: Callable[[str], None]) -> None:
    """Serve the page until a signal ends it.

    Args:
        config: Where, and what it may do.
        on_ready: Called with the address of the page once it can be opened.

    Raises:
        ConfigError: Gradio is not installed, the address is taken, or a folder cannot be used.
        MediaError: A folder cannot be written.
    """
    gradio = _import_gradio(config.state / "uploads")
    uvicorn = import_module("uvicorn")
    with _bound_socket(config) as listening, _services(config) as services:
        host, port = listening.getsockname()[:2]
        application = _application(gradio, services, config)
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_level="warning",
                ws="none",
                timeout_graceful_shutdown=_CLOSE_SECONDS,
            )
        )
        services.runner.start()
        on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        server.run(sockets=[listening])


def _import_gradio(uploads: Path) -> Any:
    # Set before the import: by default Gradio reports its use, and asks for its newest version.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        return import_module("gradio")
    except ImportError as error:
        raise ConfigError(INSTALL) from error


@contextmanager
def _bound_socket(config: WebConfig) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.address else socket.AF_INET
    try:
        listening = socket.create_server((config.address, config.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"--address {config.address} --port {config.port}: {error.strerror}; choose another"
        ) from error
    with listening:
        yield listening


@contextmanager
def _services(config: WebConfig) -> Generator[Services]:
    uploads = config.state / "uploads"
    for folder in (config.state, uploads, config.results):
        with file_errors(folder, "write"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    queue = JobQueue(config.state)
    try:
        _remove_old_uploads(uploads.resolve(), queue)
        previews = PreviewClient()
        models = previews.ask({"models": True})["models"]
        services = Services(
            films=AllowedFolders(config.folders),
            uploads=AllowedFolders([uploads]),
            results=config.results.resolve(),
            queue=queue,
            runner=Runner(queue),
            previews=previews,
            preview_store=PreviewStore(config.state / "previews"),
            copies=ViewingCopies(),
            form=Form([model["name"] for model in models]),
            models=models,
        )
    except BaseException:
        queue.close()
        raise
    try:
        yield services
    finally:
        services.close()


def _remove_old_uploads(uploads: Path, queue: JobQueue) -> None:
    """Remove the files that nobody put into the queue."""
    needed = {job.source for job in queue.jobs()}
    for folder in uploads.iterdir():
        inside = {path for path in (folder, *folder.rglob("*"))}
        if not inside & needed:
            if folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)
            else:
                folder.unlink(missing_ok=True)


def _application(gradio: Any, services: Services, config: WebConfig) -> Guard:
    from vidrestore.web.page.page import build_page, page_head
    from vidrestore.web.routes import add_routes

    application = import_module("fastapi").FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(application, services)
    page = build_page(gradio, services)
    theme = gradio.themes.Default(font=_FONTS, font_mono=_MONO_FONTS)
    gradio.mount_gradio_app(
        application,
        page,
        path="",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        allowed_paths=[],
        max_file_size=config.max_upload_bytes,
        theme=theme,
        head=page_head(),
    )
    return Guard(
        application,
        password=config.password,
        max_upload_bytes=config.max_upload_bytes,
        upload_folder=config.state / "uploads",
    )
