"""DPX images (SMPTE ST 268-1:2014): reads samples exactly, and replaces them in place.

All other bits stay: headers, user data and the gaps between samples. OpenImageIO cannot do that,
and misreads some layouts (see ``openimageio``).
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.images.dpx_header import DpxHeader
from vidrestore.media.images.packed_words import WordPacking
from vidrestore.media.images.still_image import ImageFileError, StillImage, read_only_plane
from vidrestore.types import Plane


def read_dpx(data: bytes) -> StillImage:
    """Return the samples of a DPX image and what its header states.

    Raises:
        ImageFileError: It is damaged, or its layout is not supported.
    """
    header = DpxHeader(data)
    layout = _layout(header, data)
    samples = layout.samples(data)
    components = header.components
    cube = samples.reshape(*header.hw, len(components))
    channels = sorted(range(len(components)), key=lambda channel: components[channel])
    dtype = np.uint8 if header.bits == 8 else np.uint16
    return StillImage(
        pixel_format=header.pixel_format,
        planes=tuple(read_only_plane(cube[:, :, channel].astype(dtype)) for channel in channels),
        color=header.color,
        orientation=header.orientation,
        sample_aspect_ratio=header.sample_aspect_ratio,
        metadata=header.metadata(),
    )


def replace_dpx_samples(data: bytes, planes: tuple[Plane, ...]) -> bytes:
    """Return a DPX file with other samples; all other bits are those of ``data``.

    Raises:
        ImageFileError: ``data`` is damaged, or its layout is not supported.
    """
    header = DpxHeader(data)
    cube = np.stack([planes[number] for number in header.components], axis=2)
    return _layout(header, data).with_samples(data, cube)


def resize_dpx(data: bytes, planes: tuple[Plane, ...]) -> bytes:
    """Return a DPX file with samples of another size; only the sizes in its headers differ.

    Raises:
        ImageFileError: ``data`` is damaged, or its layout is not supported.
    """
    header = DpxHeader(data)
    height, width = planes[0].shape
    return replace_dpx_samples(_blank(header, data, height, width), planes)


def _packed(bits: int, samples: int, words: int) -> WordPacking:
    positions = tuple(bits * number for number in range(samples))
    return WordPacking(word_bits=32, sample_bits=bits, positions=positions, words=words)


# By bits and packing: 0 has no gaps, 1 gaps below samples (method A), 2 above (method B).
_PACKINGS = {
    (10, 0): _packed(10, 16, 5),
    (10, 1): WordPacking(word_bits=32, sample_bits=10, positions=(22, 12, 2)),
    (10, 2): WordPacking(word_bits=32, sample_bits=10, positions=(20, 10, 0)),
    (12, 0): _packed(12, 8, 3),
    (12, 1): WordPacking(word_bits=16, sample_bits=12, positions=(4,)),
    (12, 2): WordPacking(word_bits=16, sample_bits=12, positions=(0,)),
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the samples are in the file."""

    offset: int
    stride: int
    """Bytes from line to line."""
    lines: int
    """Runs of samples that start on a new word: one for each line of the image, or only one."""
    per_line: int
    """Samples of a run."""
    packing: WordPacking
    order: str

    def samples(self, data: bytes) -> NDArray[np.uint16]:
        """Return all samples in the order of the file, ``(lines, samples)``."""
        return self.packing.unpack(self._words(data), self.per_line)

    def with_samples(self, data: bytes, samples: NDArray[np.generic]) -> bytes:
        """Return ``data`` with other samples."""
        copy = bytearray(data)
        words = self._words(copy)
        words[...] = self.packing.replace(words, samples.reshape(self.lines, -1))
        return bytes(copy)

    def _words(self, data: bytes | bytearray) -> NDArray[np.generic]:
        word = np.dtype(f"{self.order}u{self.packing.word_bits // 8}")
        return np.ndarray(
            (self.lines, self.packing.word_count(self.per_line)),
            word,
            buffer=data,
            offset=self.offset,
            strides=(self.stride, word.itemsize),
        )


def _layout(header: DpxHeader, data: bytes) -> _Layout:
    """Return where the samples are.

    Raises:
        ImageFileError: The file is shorter than its header states.
    """
    hw, order = header.hw, header.order
    per_line = hw[1] * len(header.components)
    packing = _word_packing(header)
    word_bytes = packing.word_bits // 8
    line = packing.word_count(per_line) * word_bytes
    padding, offset = header.line_padding, header.image_offset
    remaining = len(data) - offset
    # By the standard, lines start on words of 32 bits; some programs write them without.
    for stride in (-(-line // 4) * 4 + padding, line + padding):
        if stride * (hw[0] - 1) + line <= remaining:
            return _Layout(offset, stride, hw[0], per_line, packing, order)
    # Some scanners continue lines in the middle of a word.
    stream = packing.word_count(per_line * hw[0]) * word_bytes
    if header.bits == 10 and stream <= remaining:
        return _Layout(offset, stream, 1, per_line * hw[0], packing, order)
    raise ImageFileError("it is shorter than its header states; get another copy")


def _blank(header: DpxHeader, data: bytes, height: int, width: int) -> bytes:
    """Return a file with these headers and black samples of another size."""
    per_line = width * len(header.components)
    packing = _word_packing(header)
    line = -(-packing.word_count(per_line) * packing.word_bits // 8 // 4) * 4
    blank = bytearray(data[: header.image_offset])
    blank += bytes((line + header.line_padding) * height)
    for offset, value in ((16, len(blank)), (772, width), (776, height)):
        struct.pack_into(header.order + "I", blank, offset, value)
    return bytes(blank)


def _word_packing(header: DpxHeader) -> WordPacking:
    if header.bits in (8, 16):
        return WordPacking(word_bits=header.bits, sample_bits=header.bits, positions=(0,))
    packing = _PACKINGS[header.bits, header.packing]
    if header.bits == 10 and header.packing and header.descriptor == 6:
        # With luma alone, the first of three samples is in the lowest bits.
        positions = tuple(reversed(packing.positions))
        return WordPacking(word_bits=32, sample_bits=10, positions=positions)
    return packing
