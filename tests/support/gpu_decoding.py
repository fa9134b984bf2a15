"""A GPU that decodes films, of which the processor does the work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from av.codec.hwaccel import HWAccel

from vidrestore.media import hardware_decoding
from vidrestore.media.input.probe import open_container

_DOWNLOADED = {"yuv420p": "nv12", "yuvj420p": "nv12", "yuv420p10le": "p010le"}


class FakePacket:
    """A packet whose frames come from a GPU, with their chroma interleaved."""

    def __init__(self, packet: Any) -> None:
        self._packet = packet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._packet, name)

    def decode(self) -> list[av.VideoFrame]:
        """Return the frames as they are downloaded."""
        frames: list[av.VideoFrame] = self._packet.decode()
        return [frame.reformat(format=_DOWNLOADED[frame.format.name]) for frame in frames]


class _Container:
    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def __enter__(self) -> "_Container":
        return self

    def __exit__(self, *_error: object) -> None:
        self._container.close()

    def demux(self, *streams: Any) -> Iterator[FakePacket]:
        return map(FakePacket, self._container.demux(*streams))


def use_fake_gpu(patch: pytest.MonkeyPatch) -> list[int]:
    """Let films be decoded by a fake GPU; return the number of the GPU of each that is opened."""
    opened: list[int] = []

    def open_film(path: Path, *, accelerator: HWAccel) -> _Container:
        assert not accelerator.allow_software_fallback  # type: ignore[attr-defined]
        opened.append(accelerator.device_id)
        return _Container(open_container(path))

    patch.setattr(hardware_decoding, "open_container", open_film)
    patch.setattr(hardware_decoding, "is_on_gpu", bool)
    return opened
