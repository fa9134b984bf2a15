"""``vidrestore web [FOLDER ...]``: the program in a browser."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vidrestore.cli.exit_codes import ExitCode, UsageError, usage_errors
from vidrestore.cli.parsing.arguments import parse_command

PASSWORD_VARIABLE = "VIDRESTORE_WEB_PASSWORD"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCommand:
    """Open a page in the browser: choose films, see a preview, restore them one after the other.

    It needs Gradio: pip install 'vidrestore[web]'. Only this machine can reach the page, unless
    --address names another address; that needs a password.
    """

    folders: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FOLDER")] = ()
    """Folders whose films can be opened, subfolders included; without one, only uploads can."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=("-o",), metavar="FOLDER")] = None
    """Folder for restored films; by default `results` in the state folder."""
    address: str = "127.0.0.1"
    """Address that the server listens on."""
    port: int = 7860
    """Port that the server listens on; 0 picks a free one."""
    password_file: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """File whose first line is the password; or set VIDRESTORE_WEB_PASSWORD."""
    max_upload_gb: float = 8.0
    """Largest upload, in gigabytes."""
    state: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder of the queue and of uploads; by default `vidrestore/web` in XDG_STATE_HOME, or in
    ~/.local/state."""
    open: bool = False
    """Open the page in the browser, too."""
    debug: bool = False
    """Print the traceback of an error, too."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore web``."""
    command = parse_command(WebCommand, "web", argv)
    if not 0 <= command.port < 1 << 16:
        raise UsageError(f"--port: must be 0 to 65535, got {command.port}")
    if not command.max_upload_gb > 0:
        raise UsageError(f"--max-upload-gb: must be above 0, got {command.max_upload_gb:g}")
    from vidrestore.web.server import WebConfig, serve

    state = command.state or _default_state()
    with usage_errors():
        config = WebConfig(
            folders=command.folders,
            state=state,
            results=command.output or state / "results",
            address=command.address,
            port=command.port,
            password=_password(command.password_file),
            max_upload_bytes=round(command.max_upload_gb * 1e9),
        )

    def on_ready(address: str) -> None:
        line = f"{address}  (results: {config.results}; Ctrl-C stops the server)"
        print(line, file=sys.stderr, flush=True)
        if command.open:
            import webbrowser

            webbrowser.open(address)

    serve(config, on_ready)
    return ExitCode.OK


def _default_state() -> Path:
    folder = os.environ.get("XDG_STATE_HOME", "")
    # XDG base directory specification: relative paths are invalid and must be ignored.
    base = Path(folder) if Path(folder).is_absolute() else Path.home() / ".local" / "state"
    return base / "vidrestore" / "web"


def _password(file: Path | None) -> str | None:
    """Return the password. It is no option: others can read command lines.

    Raises:
        UsageError: The file cannot be read, or its first line is empty.
    """
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE) or None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file {file}: cannot be read: {error}") from error
    if not lines or not lines[0].strip():
        raise UsageError(f"--password-file {file}: its first line is empty; write the password")
    return lines[0].strip()
