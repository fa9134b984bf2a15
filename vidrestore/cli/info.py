"""``vidrestore info FILE``: what a film, a folder of frames or an image contains; or a model."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vidrestore.cli.display.field_rows import field_json, field_rows
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.parsing.arguments import parse_command
from vidrestore.storage.source_path import checked_source
from vidrestore.text import printable_text
from vidrestore.types import DisplayGeometry

if TYPE_CHECKING:
    from vidrestore.media.fields.detection import FieldDetection
    from vidrestore.media.input.video_info import StreamInfo, VideoInfo

# Code points of ITU-T H.273, by FFmpeg's names.
_MATRIX = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 14: "ictcp",
}  # fmt: skip
_PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020",
    10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
_TRANSFER = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
_CHROMA_LOCATION = {
    1: "left", 2: "center", 3: "topleft", 4: "top", 5: "bottomleft", 6: "bottom",
}  # fmt: skip
_UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoCommand:
    """Show what a film, a folder of frames or an image contains, or describe a model.

    For a model, such as `lite`: its license, weights and --detail, and its card if it has one.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE|MODEL")]
    """Film, folder of frames, or image; or the name of a model."""
    json: bool = False
    """Print JSON."""
    debug: bool = False
    """Print the traceback of an error, too."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore info``."""
    command = parse_command(InfoCommand, "info", argv)
    if not command.source.exists() and _is_model_name(command.source) and _print_model(command):
        return ExitCode.OK
    checked_source(command.source)
    from vidrestore.media.fields.detection import detect_fields
    from vidrestore.media.input.video_info import probe

    info = probe(command.source)
    fields = detect_fields(info) if info.kind == "film" else None
    if command.json:
        detected = None if fields is None else field_json(fields)
        print(json.dumps(info_json(info) | {"detect_fields": detected}, indent=2))
    else:
        _print_rows(info_rows(info, fields))
    return ExitCode.OK


def _is_model_name(path: Path) -> bool:
    """Return whether this can be the name of a model: no folder and no file suffix."""
    suffix = path.suffix.removeprefix(".")
    return path.name == str(path) and (not suffix or suffix[0].isdigit())


def _print_model(command: InfoCommand) -> bool:
    # Imported here: the table of models needs torch, which films do not.
    from vidrestore.cli.display.model_rows import model_json, model_rows
    from vidrestore.pipeline.loading.model_info import model_info

    model = model_info(str(command.source))
    if model is None:
        return False
    if command.json:
        print(json.dumps(model_json(model), indent=2))
        return True
    _print_rows(model_rows(model))
    if model.card is not None:
        print("\n" + model.card.read_text(encoding="utf-8").rstrip())
    return True


def _print_rows(rows: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table

    from vidrestore.cli.display.progress_bars import stdout_console

    table = Table(show_header=False, box=None, pad_edge=False)
    for label, value in rows:
        table.add_row(label, printable_text(value, " "))
    stdout_console().print(table)


def info_rows(info: "VideoInfo", fields: "FieldDetection | None") -> Iterator[tuple[str, str]]:
    """Yield the label and value of every line of the printed text."""
    geometry, color = info.geometry, color_json(info)
    yield info.kind, str(info.path)
    yield "container", info.container
    yield "video codec", info.codec
    if info.duration_seconds is not None:
        yield "duration", _clock(info.duration_seconds)
    if info.frame_count_estimate is not None:
        yield "frames", f"about {info.frame_count_estimate}"
    if info.average_rate is not None:
        yield "frame rate", _rate(info.average_rate, variable=bool(info.variable_rate))
    if info.bit_rate is not None:
        yield "bit rate", _bit_rate(info.bit_rate)
    yield "size", _size(geometry.coded_hw)
    yield "display size", _size(geometry.display_hw) + _display_text(geometry)
    yield "pixel format", f"{info.pixel_format_name}, {info.bit_depth} bits"
    yield "color", ", ".join(f"{name} {value}" for name, value in color.items())
    side_data = info.side_data
    if side_data.mastering is not None:
        yield "mastering display", str(side_data.mastering)
    if side_data.light_level is not None:
        yield "light level", str(side_data.light_level)
    if side_data.unsupported:
        yield "cannot be kept", ", ".join(side_data.unsupported)
    yield "fields", info.field_order
    if fields is not None:
        yield from field_rows(fields, info.average_rate)
    for program in info.programs:
        yield "program", f"{program}{', described here' if program == info.program else ''}"
    yield "time base", f"{info.time_base} s"
    if info.timecode is not None:
        yield "timecode", info.timecode
    if info.reel_name is not None:
        yield "reel", info.reel_name
    for stream in info.streams:
        yield f"stream {stream.index}", _stream_line(stream)
    for number, chapter in enumerate(info.chapters, start=1):
        start, end = _clock(float(chapter.start_seconds)), _clock(float(chapter.end_seconds))
        yield f"chapter {number}", f"{start} to {end}" + (f" {chapter.title or ''}".rstrip())
    yield from info.metadata.items()


def info_json(info: "VideoInfo") -> dict[str, object]:
    """Return the values for JSON; exact ratios are strings like ``30000/1001``."""
    (height, width), (display_height, display_width) = (
        info.geometry.coded_hw,
        info.geometry.display_hw,
    )
    return {
        "path": str(info.path),
        "kind": info.kind,
        "container": info.container,
        "codec": info.codec,
        "duration_seconds": info.duration_seconds,
        "frame_count_estimate": info.frame_count_estimate,
        "average_rate": _exact(info.average_rate),
        "variable_rate": info.variable_rate,
        "bit_rate": info.bit_rate,
        "coded_width": width,
        "coded_height": height,
        "display_width": display_width,
        "display_height": display_height,
        "sample_aspect_ratio": _exact(info.geometry.sample_aspect_ratio),
        "rotation_degrees_clockwise": 90 * info.geometry.quarter_turns,
        "mirrored": info.geometry.mirrored,
        "pixel_format": info.pixel_format_name,
        "bit_depth": info.bit_depth,
        "color": color_json(info),
        "side_data": side_data_json(info),
        "field_order": info.field_order,
        "time_base": _exact(info.time_base),
        "timecode": info.timecode,
        "reel_name": info.reel_name,
        "origin_seconds": float(info.origin_seconds),
        "video_stream_index": info.video_stream_index,
        "streams": [_stream_json(stream) for stream in info.streams],
        "chapters": [
            {
                "start_seconds": float(chapter.start_seconds),
                "end_seconds": float(chapter.end_seconds),
                "title": chapter.title,
            }
            for chapter in info.chapters
        ],
        "metadata": dict(info.metadata),
    }


def color_json(info: "VideoInfo") -> dict[str, str]:
    """Return the color tags with FFmpeg's names."""
    color = info.color
    return {
        "matrix": _named(_MATRIX, color.matrix),
        "primaries": _named(_PRIMARIES, color.primaries),
        "transfer": _named(_TRANSFER, color.transfer),
        "range": ("full" if color.full_range else "limited") if color.range_known else _UNSPECIFIED,
        "chroma_location": _CHROMA_LOCATION.get(color.chroma_location, _UNSPECIFIED),
    }


def side_data_json(info: "VideoInfo") -> dict[str, object]:
    """Return mastering display and light level, in cd/m2 and CIE 1931 x and y."""
    mastering, light = info.side_data.mastering, info.side_data.light_level
    points = () if mastering is None else (*(mastering.primaries_xy or ()), mastering.white_xy)
    named = zip(("red", "green", "blue", "white"), points, strict=False)
    luminance = None if mastering is None else mastering.luminance_nits
    return {
        "mastering_xy": {name: [float(x) for x in xy] for name, xy in named if xy is not None},
        "mastering_luminance": None if luminance is None else [float(nits) for nits in luminance],
        "max_cll": None if light is None else light.max_cll_nits,
        "max_fall": None if light is None else light.max_fall_nits,
        "not_kept": list(info.side_data.unsupported),
    }


def _stream_json(stream: "StreamInfo") -> dict[str, object]:
    return {
        "index": stream.index,
        "kind": stream.kind,
        "codec": stream.codec,
        "language": stream.language,
        "title": stream.title,
        "default": stream.default,
        "attached_picture": stream.is_cover,
        "start_seconds": None if stream.start_seconds is None else float(stream.start_seconds),
        "bit_rate": stream.bit_rate,
        "channels": stream.channels,
        "channel_layout": stream.channel_layout,
        "sample_rate_hz": stream.sample_rate_hz,
        "file_name": stream.file_name,
    }


def _stream_line(stream: "StreamInfo") -> str:
    language = None if stream.language == "und" else stream.language  # ISO 639: undetermined
    parts = [stream.kind, stream.codec or "unknown codec", language, stream.title]
    parts.append(stream.file_name)
    if stream.sample_rate_hz is not None:
        parts.append(f"{stream.sample_rate_hz} Hz")
    parts.append(stream.channel_layout)
    if stream.bit_rate is not None:
        parts.append(_bit_rate(stream.bit_rate))
    if stream.start_seconds:
        parts.append(f"starts at {float(stream.start_seconds):.3f} s")
    parts.append("cover" if stream.is_cover else None)
    parts.append("default" if stream.default else None)
    return ", ".join(part for part in parts if part)


def _display_text(geometry: DisplayGeometry) -> str:
    parts: list[str] = []
    if geometry.mirrored:
        parts.append("mirrored")
    if geometry.quarter_turns:
        parts.append(f"turned {90 * geometry.quarter_turns} degrees clockwise")
    if geometry.sample_aspect_ratio != 1:
        ratio = geometry.sample_aspect_ratio
        parts.append(f"pixels {ratio.numerator}:{ratio.denominator}")
    return f" ({', '.join(parts)})" if parts else ""


def _named(names: Mapping[int, str], code: int) -> str:
    return names.get(code, _UNSPECIFIED if code == 2 else f"code {code}")


def _size(size_hw: tuple[int, int]) -> str:
    height, width = size_hw
    return f"{width} x {height}"


def _exact(ratio: Fraction | None) -> str | None:
    return None if ratio is None else f"{ratio.numerator}/{ratio.denominator}"


def _rate(rate: Fraction, *, variable: bool) -> str:
    exact = "" if rate.denominator == 1 else f" ({rate})"
    return f"{float(rate):.6g} per second{exact}" + (", variable" if variable else "")


def _bit_rate(bits_per_second: int) -> str:
    return f"{bits_per_second / 1000:.0f} kbit/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes // 60):02}:{int(minutes % 60):02}:{rest:06.3f}"
