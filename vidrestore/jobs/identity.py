"""What the bytes of a segment depend on: the source, the settings, the program and the machine."""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.jobs.settings import JobSettings
from vidrestore.media import VideoInfo
from vidrestore.media.segment import sha256_of
from vidrestore.media.translate import media_errors
from vidrestore.pipeline.report import versions
from vidrestore.pipeline.settings import RestoreSettings

_ENDS_BYTES = 1 << 20
_NOT_OF_THE_BYTES = ("overwrite", "framemd5")
_WHETHER = ("compare", "record")
"""Settings that count by whether they are given: their files come from the same parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where networks run, as far as what they make depends on it."""

    device: str
    precision: str
    threads: int
    """Of a network on a CPU: its sums are taken apart by them, and round otherwise."""


def this_machine(settings: RestoreSettings) -> Machine:
    """Return where networks run in this process.

    Raises:
        DeviceError: They cannot run there.
    """
    import torch

    device = resolve_device(settings.device)
    return Machine(
        device=str(device),
        precision=str(resolve_precision(settings.precision, device)),
        threads=torch.get_num_threads(),
    )


def identity_of(
    info: VideoInfo, settings: RestoreSettings, job: JobSettings, machine: Machine
) -> dict[str, str]:
    """Return by name, as text, what a resumed run must find as it was.

    Args:
        info: Of the source; of its file, size and both ends count, of a folder names and sizes.
        settings: Of the run.
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
    """Return the checksum of weights that a user may replace; those of the package go with it."""
    path = Path(model)
    return sha256_of(path) if path.is_file() else str(model)


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()
    with media_errors(path):
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
