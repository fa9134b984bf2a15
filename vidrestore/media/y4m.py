"""Reads and writes headers of YUV4MPEG2, the format of uncompressed frames in pipes.

The format follows ``yuv4mpeg(5)`` of mjpegtools, and FFmpeg for more than 8 bits, gray and range.
FFmpeg's reader and writer are not used: PyAV cannot pass the sample aspect ratio to the writer, and
the reader accepts a stream that ends within a frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from vidrestore.errors import MediaError
from vidrestore.media.color.code_points import CHROMA_CENTER, CHROMA_LEFT, CHROMA_TOP_LEFT
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.input.video_info import FieldOrder
from vidrestore.types import PixelFormat

MAGIC = b"YUV4MPEG2 "
FRAME = b"FRAME"
MAX_LINE_BYTES = 4096


def _color_spaces() -> dict[str, str]:
    names = {"420jpeg": "yuv420p", "411": "yuv411p", "422": "yuv422p", "444": "yuv444p"}
    names |= {"444alpha": "yuva444p", "mono": "gray"}
    for depth in (9, 10, 12, 14, 16):
        names |= {f"{name}p{depth}": f"yuv{name}p{depth}le" for name in ("420", "422", "444")}
    # FFmpeg does not read gray with 14 bits.
    return names | {f"mono{depth}": f"gray{depth}le" for depth in (9, 10, 12, 16)}


COLOR_SPACES: Mapping[str, str] = MappingProxyType(_color_spaces())
"""FFmpeg's name of the planar format, by the name after ``C`` in a header."""
_CHROMA_LOCATIONS = {
    "420": CHROMA_CENTER,
    "420jpeg": CHROMA_CENTER,
    "420mpeg2": CHROMA_LEFT,
    "420paldv": CHROMA_TOP_LEFT,
}
_COLOR_SPACE_OF_LOCATION = {CHROMA_LEFT: "420mpeg2", CHROMA_TOP_LEFT: "420paldv"}
_FIELD_ORDERS: Mapping[str, FieldOrder] = {
    "p": "progressive",
    "t": "top first",
    "b": "bottom first",
    "?": "unknown",
}
_RANGE = "XCOLORRANGE="
_RANGES = {"FULL": True, "LIMITED": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Y4mHeader:
    """The first line of a stream, which applies to all its frames."""

    coded_hw: tuple[int, int]
    pixel_format: PixelFormat
    frame_rate: Fraction | None
    """Frames per second; None if not stated."""
    field_order: FieldOrder = "unknown"
    sample_aspect_ratio: Fraction | None = None
    """None if not stated."""
    chroma_location: int = 0
    """FFmpeg's ``AVChromaLocation``."""
    full_range: bool | None = None
    """None if not stated."""
    frame_count: int | None = None
    """Number of frames, which VapourSynth states."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of the samples of one frame."""
        pixel_format = self.pixel_format
        sample_bytes = 1 if pixel_format.bit_depth == 8 else 2
        sizes = [
            pixel_format.plane_hw(plane, self.coded_hw) for plane in range(pixel_format.plane_count)
        ]
        return sample_bytes * sum(height * width for height, width in sizes)

    def to_line(self) -> bytes:
        """Return the line, with its line feed."""
        height, width = self.coded_hw
        codes = {order: code for code, order in _FIELD_ORDERS.items()}
        words = [
            f"W{width}",
            f"H{height}",
            f"F{_ratio_text(self.frame_rate)}",
            f"I{codes[self.field_order]}",
            f"A{_ratio_text(self.sample_aspect_ratio)}",
            f"C{self._color_space()}",
        ]
        if self.full_range is not None:
            words.append(_RANGE + ("FULL" if self.full_range else "LIMITED"))
        return MAGIC + " ".join(words).encode() + b"\n"

    def _color_space(self) -> str:
        name = next(key for key, name in COLOR_SPACES.items() if name == self.pixel_format.name)
        return (
            _COLOR_SPACE_OF_LOCATION.get(self.chroma_location, name) if name == "420jpeg" else name
        )

    @staticmethod
    def from_line(line: bytes) -> "Y4mHeader":
        """Parse a line.

        Raises:
            ValueError: It has another format, or is not supported.
        """
        if not (line.startswith(MAGIC) and line.endswith(b"\n")):
            raise ValueError("it does not begin with YUV4MPEG2")
        words = line[len(MAGIC) :].decode("ascii", errors="replace").split()
        values = {word[0]: word[1:] for word in words if word[0] != "X"}
        comments = [word for word in words if word[0] == "X"]
        interlacing = values.get("I", "?")
        if interlacing not in _FIELD_ORDERS:
            raise ValueError(f"I{interlacing} is not supported; use Ip, It or Ib")
        # Older programs state formats with more than 8 bits only in a comment.
        stated = values.get("C") or _comment(comments, "XYSCSS=").lower() or "420jpeg"
        named = "420jpeg" if stated in _CHROMA_LOCATIONS else stated
        if named not in COLOR_SPACES:
            raise ValueError(f"C{stated} is not supported; use 4:2:0, 4:2:2, 4:4:4 or gray")
        coded_hw = (_size(values, "H"), _size(values, "W"))
        count = _comment(comments, "XLENGTH=")
        return Y4mHeader(
            coded_hw=coded_hw,
            pixel_format=PLANAR[COLOR_SPACES[named]],
            frame_rate=_ratio(values.get("F", "0:0")),
            field_order=_FIELD_ORDERS[interlacing],
            sample_aspect_ratio=_ratio(values.get("A", "0:0")),
            chroma_location=_CHROMA_LOCATIONS.get(stated, 0),
            full_range=_RANGES.get(_comment(comments, _RANGE)),
            frame_count=int(count) if count.isdecimal() and int(count) else None,
        )


def _comment(comments: list[str], key: str) -> str:
    return next((text.removeprefix(key) for text in comments if text.startswith(key)), "")


def _size(values: Mapping[str, str], key: str) -> int:
    text = values.get(key, "")
    if not text.isdecimal() or not 0 < int(text) <= 1 << 16:
        raise ValueError(f"{key}{text} is not a size")
    return int(text)


def _ratio(text: str) -> Fraction | None:
    """Return ``30000:1001`` as a fraction; None if it is 0, for unknown."""
    numerator, _, denominator = text.partition(":")
    if not (numerator.isdecimal() and denominator.isdecimal()):
        raise ValueError(f"{text} is not a ratio")
    if not (int(numerator) and int(denominator)):
        return None
    return Fraction(int(numerator), int(denominator))


def _ratio_text(ratio: Fraction | None) -> str:
    return "0:0" if ratio is None else f"{ratio.numerator}:{ratio.denominator}"


def read_header(line: bytes) -> Y4mHeader:
    """Parse the first line of standard input.

    Raises:
        MediaError: It is missing, has another format, or is not supported.
    """
    if not line:
        raise MediaError(
            "standard input is empty; check the messages of the program that writes it"
        )
    try:
        return Y4mHeader.from_line(line)
    except ValueError as error:
        raise MediaError(
            f"standard input is not readable YUV4MPEG2: {error}; send it with: "
            "ffmpeg -i FILE -f yuv4mpegpipe -strict -1 - | vidrestore - -o FILE"
        ) from error
