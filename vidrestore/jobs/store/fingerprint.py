"""Everything that the bytes of a segment depend on: source, settings, program and machine."""

import hashlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from vidrestore.devices import BATCH_SIZE, describe_device, resolve_device, resolve_precision
from vidrestore.media.input.video_info import DEFAULT_IMAGE_RATE, VideoInfo
from vidrestore.pipeline.report import versions
from vidrestore.settings import CODECS, JobSettings, RestoreSettings, settings_of
from vidrestore.storage.checksums import file_sha256
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.standard_streams import is_standard_stream

FORMAT = "format of the fingerprint"
_FORMAT_NUMBER = "8"
_ENDS_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where networks run, as far as their results depend on it."""

    host: str
    device: str
    precision: str
    gpu: str
    """Its model and the version of cuDNN; empty for a CPU."""
    threads: int
    """Threads of a network on a CPU: they split its sums, which changes the rounding."""
    versions: Mapping[str, str] = field(default_factory=versions)
    """Versions of Python and of the packages that a result depends on."""


def this_machine(device_name: str, precision: str) -> Machine:
    """Return where networks run in this process.

    Args:
        device_name: See ``RestoreSettings.device``.
        precision: See ``RestoreSettings.precision``.

    Raises:
        DeviceError: The networks cannot run there.
    """
    import torch

    device = resolve_device(device_name)
    return Machine(
        host=platform.node(),
        device=str(device),
        precision=str(resolve_precision(precision, device)),
        gpu=describe_device(device),
        threads=torch.get_num_threads(),
    )


def job_fingerprint(
    info: VideoInfo, settings: RestoreSettings, job: JobSettings, machine: Machine
) -> dict[str, str]:
    """Return the values that must be unchanged when a run resumes, by name, as text.

    Settings count by what they resolve to: ``auto`` as the device that it finds, a file of weights
    as its checksum.

    Args:
        info: Description of the source. A file is compared by its size and both its ends, a folder
            by names, sizes and times.
        settings: Settings of the run.
        job: Where segments end.
        machine: Where the networks run.
    """
    resolved = _resolved(settings, machine)
    values = {f"package {name}": version for name, version in machine.versions.items()}
    values[FORMAT] = _FORMAT_NUMBER
    for owner in (settings, job):
        for setting in settings_of(type(owner)):
            name = setting.name
            value: Any = resolved[name] if setting.option.resolved else getattr(owner, name)
            if setting.option.affects == "presence":
                value = value is not None
            elif setting.type is float and value is not None:
                value = float(value)  # 24 and 24.0 are one value
            if setting.option.affects != "nothing":
                values[setting.flag] = str(value)
    values |= _packaged_weights(settings.model)
    values["source"] = info.path.absolute().name
    values["contents of the source"] = _source_digest(info.path)
    if machine.gpu:
        values["GPU"] = machine.gpu
    if machine.device == "cpu":
        values["number of threads"] = str(machine.threads)
    return values


def _resolved(settings: RestoreSettings, machine: Machine) -> Mapping[str, object]:
    """Return what the settings with ``Option.resolved`` stand for."""
    # Imported here: the tables of networks need torch, which a refusal does not wait for.
    from vidrestore.models.registry import RESTORERS
    from vidrestore.pipeline.loading.spandrel_models import SPANDREL_MODELS

    is_name = settings.model in RESTORERS or settings.model in SPANDREL_MODELS
    background, scale, codec = settings.background, settings.scale, CODECS[settings.codec]
    if isinstance(background, str):
        scale = scale or 1
    return {
        "model": settings.model if is_name else _weights(settings.model),
        "background": background if isinstance(background, str | None) else _weights(background),
        "device": machine.device,
        "precision": machine.precision,
        "batch_size": settings.batch_size or BATCH_SIZE[machine.device.partition(":")[0]],
        "scale": scale,
        "crf": codec.crf if settings.crf is None else settings.crf,
        "preset": settings.preset or codec.preset,
        "fps": settings.fps or DEFAULT_IMAGE_RATE,
        "repair": sorted({*settings.repair}),
        "only_tracks": sorted({*settings.only_tracks}),
        "track_strengths": sorted(map(str, settings.track_strengths)),
    }


def _packaged_weights(model: str) -> dict[str, str]:
    """Return the checksums of the files of a model inside the package."""
    from vidrestore.models.registry import RESTORERS
    from vidrestore.weights.bundled import bundled_sha256

    spec = RESTORERS.get(model)
    names = () if spec is None else spec.packaged_files
    return {f"weights {name}": f"SHA-256 {bundled_sha256(name)}" for name in names}


def _weights(file: str | PathLike[str]) -> str:
    """Return the checksum of a file of weights; its name if there is no such file."""
    path = Path(file).expanduser()
    return f"SHA-256 {file_sha256(path)}" if path.is_file() else str(file)


def _source_digest(path: Path) -> str:
    if is_standard_stream(path):
        return "standard input"
    digest = hashlib.sha256()
    with file_errors(path):
        for data in _folder_data(path) if path.is_dir() else _file_data(path):
            digest.update(data)
    return digest.hexdigest()[:16]


def _file_data(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    yield str(size).encode()
    with path.open("rb") as file:
        yield file.read(_ENDS_BYTES)
        file.seek(max(0, size - _ENDS_BYTES))
        yield file.read(_ENDS_BYTES)


def _folder_data(path: Path) -> Iterator[bytes]:
    for file in sorted(path.iterdir()):
        state = file.stat()
        yield f"{file.name}:{state.st_size}:{state.st_mtime_ns};".encode(errors="surrogateescape")
