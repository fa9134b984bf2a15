"""The compressions of OpenEXR, byte for byte, as far as they lose nothing or are only read."""

import zlib

import av
import av.error
import numpy as np
from numpy.typing import NDArray

_NONE, _RLE, _ZIPS, _ZIP, _PIZ, _PXR24, _B44, _B44A = range(8)
COMPRESSIONS = {
    _NONE: 1, _RLE: 1, _ZIPS: 1, _ZIP: 16, _PIZ: 32, _PXR24: 16, _B44: 32, _B44A: 32,
}  # fmt: skip
"""Lines of a chunk by compression. DWA is not here: decoders of it differ in their last bits."""
ZIP_LIKE = frozenset({_NONE, _RLE, _ZIPS, _ZIP})
"""Those that are read and written here; chunks of the others are read by FFmpeg."""
_RUN_MOST = 127


def unpacked_chunk(packed: bytes, compression: int, size: int) -> bytes:
    """Return the ``size`` bytes of a chunk.

    Raises:
        ValueError: They are damaged.
    """
    if len(packed) == size or compression == _NONE:
        # What would not have become smaller is stored as it is.
        raw = packed
    elif compression == _RLE:
        raw = _interleaved(_unrolled(packed))
    else:
        try:
            raw = _interleaved(zlib.decompress(packed))
        except zlib.error as error:
            raise ValueError(str(error)) from error
    if len(raw) != size:
        raise ValueError("a chunk is of the wrong size")
    return raw


def packed_chunk(raw: bytes, compression: int) -> bytes:
    """Return a chunk as a file of this compression may hold it.

    Readers take a chunk that is as large as its samples for plain samples, whatever the
    compression of the file: so it is with those that are not written here.
    """
    if compression in (_ZIPS, _ZIP):
        packed = zlib.compress(_separated(raw))
        return packed if len(packed) < len(raw) else raw
    return raw


def _separated(raw: bytes) -> bytes:
    """Return differences of neighbouring bytes, the even ones of ``raw`` before the odd ones."""
    plain = np.frombuffer(raw, np.uint8)
    apart = np.concatenate([plain[::2], plain[1::2]])
    differences = apart.copy()
    differences[1:] = apart[1:] - apart[:-1] + np.uint8(128)
    return differences.tobytes()


def _interleaved(separated: bytes) -> bytes:
    """Undo ``_separated``."""
    differences = np.frombuffer(separated, np.uint8)
    if not len(differences):
        return b""
    steps = differences - np.uint8(128)
    steps[0] = differences[0]
    apart = np.cumsum(steps, dtype=np.uint8)
    plain = np.empty_like(apart)
    half = (len(apart) + 1) // 2
    plain[::2], plain[1::2] = apart[:half], apart[half:]
    return plain.tobytes()


def _unrolled(packed: bytes) -> bytes:
    """Return the bytes that runs stand for."""
    found = bytearray()
    at = 0
    while at + 1 < len(packed):
        count = packed[at]
        if count > _RUN_MOST:
            length = 256 - count
            found += packed[at + 1 : at + 1 + length]
            at += 1 + length
        else:
            found += packed[at + 1 : at + 2] * (count + 1)
            at += 2
    return bytes(found)


def decoded_by_ffmpeg(
    data: bytes, names: tuple[str, ...], hw: tuple[int, int]
) -> dict[str, NDArray[np.generic]]:
    """Return the channels of a file that FFmpeg decodes, float32, exact for half floats.

    Raises:
        ValueError: It is damaged, or does not show its data window alone.
    """
    decoder = av.CodecContext.create("exr", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise ValueError("FFmpeg cannot decode it") from error
    if len(frames) != 1 or (frames[0].height, frames[0].width) != hw:
        raise ValueError("FFmpeg shows another part of it")
    frame = frames[0]
    wide = "f16" not in frame.format.name
    return {
        name: np.ndarray(
            hw,
            np.dtype("<f4" if wide else "<f2"),
            buffer=memoryview(plane),  # pyright: ignore[reportArgumentType]
            strides=(plane.line_size, 4 if wide else 2),
        ).astype(np.float32)
        for name, plane in zip(names, frame.planes, strict=True)
    }
