"""What a run cannot do whose source or output is a pipe."""

from pathlib import Path

from vidrestore.errors import ConfigError
from vidrestore.settings import JobSettings, RestoreSettings, settings_of
from vidrestore.storage.standard_streams import is_standard_stream

_OF_ENCODER = ("codec", "crf", "preset", "chroma")


def check_pipes(source: Path, output: Path, settings: RestoreSettings, job: JobSettings) -> None:
    """Refuse what needs a file where a pipe is read or written.

    Args:
        source: What is read; ``-`` is standard input.
        output: What is written; ``-`` is standard output.
        settings: Settings of the run.
        job: How it is divided.

    Raises:
        ConfigError: Something needs a file; the message says what to type instead.
    """
    reads, writes = is_standard_stream(source), is_standard_stream(output)
    if not (reads or writes):
        return
    if job.resume:
        raise ConfigError("--resume: a pipe cannot be continued; name files, or start over")
    if job.engine != "local":
        raise ConfigError(f"--engine {job.engine}: workers cannot share a pipe; leave it out")
    if settings.verify:
        raise ConfigError("--verify: reads both films again, which a pipe cannot give; name files")
    if not writes:
        return
    if settings.compare is not None:
        raise ConfigError("--compare: needs a file as the output; use -o FILE")
    if settings.framemd5 is not None:
        raise ConfigError(
            "--framemd5: needs a file as the output; use -o FILE, or ffmpeg -i - -f framemd5 behind"
            " the pipe"
        )
    changed = [
        setting.flag
        for setting in settings_of(RestoreSettings)
        if setting.name in _OF_ENCODER and getattr(settings, setting.name) != setting.default
    ]
    if changed:
        raise ConfigError(
            f"{changed[0]}: standard output is not encoded; leave it out, and encode behind the "
            "pipe: vidrestore FILE -o - | ffmpeg -i - OUTPUT"
        )
