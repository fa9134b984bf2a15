"""Everything that the bytes of a segment depend on: source, settings, program and machine."""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.jobs.settings import JobSettings
from vidrestore.media import VideoInfo
from vidrestore.pipeline.report import versions
from vidrestore.pipeline.settings import RestoreSettings
from vidrestore.storage.checksums import file_sha256
from vidrestore.storage.file_errors import file_errors

_ENDS_BYTES = 1 << 20
_NOT_OF_THE_BYTES = ("overwrite", "framemd5")
_WHETHER = ("compare", "record")
"""Settings of which only their presence counts: any file name gets the same content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where networks run, as far as their results depend on it."""

    device: str
    precision: str
    threads: int
    """Threads of a network on a CPU: they split its sums, which changes the rounding."""


def this_machine(settings: RestoreSettings) -> Machine:
    """Return where networks run in this process.

    Raises:
        DeviceError: The networks cannot run there.
    """
    import torch

    device = resolve_device(settings.device)
    return Machine(
        device=str(device),
        precision=str(resolve_precision(settings.precision, device)),
        threads=torch.get_num_threads(),
    )


def job_fingerprint(
    info: VideoInfo, settings: RestoreSettings, job: JobSettings, machine: Machine
) -> dict[str, str]:
    """Return the values that must be unchanged when a run resumes, by name, as text.

    Args:
        info: Description of the source. A file is compared by its size and both its ends, a folder
            by names, sizes and times.
        settings: Settings of the run.
        job: Where segments end.
        machine: Where the networks run.
    """
    identity = {f"package {name}": version for name, version in versions().items()}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in _WHETHER:
            value = value is not None
        if field.name not in _NOT_OF_THE_BYTES:
            identity[f"setting {field.name}"] = str(value)
    identity["source"] = info.path.absolute().name
    identity["contents of the source"] = _fingerprint(info.path)
    identity["device"] = machine.device
    identity["precision"] = machine.precision
    if machine.device == "cpu":
        identity["number of threads"] = str(machine.threads)
    identity["segment"] = f"{job.segment_seconds:g} s"
    identity["weights"] = _weights_of(settings.model)
    if settings.background is not None:
        identity["weights of the background"] = _weights_of(settings.background)
    return identity


def _weights_of(model: str | Path) -> str:
    """Return the checksum of a weights file. The package's weights have names instead."""
    path = Path(model)
    return file_sha256(path) if path.is_file() else str(model)


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()
    with file_errors(path):
        for part in _folder_parts(path) if path.is_dir() else _file_parts(path):
            digest.update(part)
    return digest.hexdigest()[:16]


def _file_parts(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    yield str(size).encode()
    with path.open("rb") as file:
        yield file.read(_ENDS_BYTES)
        file.seek(max(0, size - _ENDS_BYTES))
        yield file.read(_ENDS_BYTES)


def _folder_parts(path: Path) -> Iterator[bytes]:
    for each in sorted(path.iterdir()):
        state = each.stat()
        yield f"{each.name}:{state.st_size}:{state.st_mtime_ns};".encode(errors="surrogateescape")
