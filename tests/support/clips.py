"""Small realistic films: numbered frames, flashes and beeps, any codec and time base."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
from av import AudioFrame, Packet, VideoFrame
from av.container import OutputContainer
from av.filter import Graph
from numpy.typing import NDArray

from vidrestore.types import Frame

SIZE_HW = (48, 96)
RATE = Fraction(25)
SAMPLE_RATE_HZ = 48_000
_BLOCK_PX = 8
_BITS = 12
_BEEP_HZ = 1000
_INTERLACED = 0x40000 | 0x20000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """An audio track: silence, with a beep at each of some times."""

    codec: str = "aac"
    start_seconds: Fraction = Fraction(0)
    seconds: Fraction = Fraction(1)
    beeps_seconds: tuple[Fraction, ...] = ()
    language: str | None = None
    beep_hz: int = _BEEP_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What ``make_clip`` makes."""

    ticks: Sequence[int] = tuple(range(12))
    """Time stamps of the frames, in ``time_base``."""
    time_base: Fraction = 1 / RATE
    last_duration_ticks: int = 1
    rate: Fraction = RATE
    """What the header says; the timestamps say it, too."""
    size_hw: tuple[int, int] = SIZE_HW
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(
        default_factory=lambda: {"preset": "veryfast", "bf": "2", "g": "8", "crf": "10"}
    )
    rotation_degrees: int | None = None
    """Counter-clockwise, as FFmpeg has it."""
    flipped: bool = False
    sample_aspect_ratio: Fraction | None = None
    color: tuple[int, int, int, int] | None = None
    """Matrix, primaries, transfer, range."""
    field_order: str | None = None
    """``tff`` or ``bff``."""
    flashes_seconds: tuple[Fraction, ...] = ()
    sounds: tuple[Sound, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    container_options: dict[str, str] = field(default_factory=dict[str, str])
    picture: Callable[[int, tuple[int, int]], NDArray[np.uint8]] | None = None
    """Draws frame ``n`` of a size; None numbers the frames."""


def numbered_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``(h, w, 3)`` RGB: a slope that moves, and ``number`` in blocks at the top left."""
    height, width = size_hw
    y, x = np.mgrid[0:height, 0:width]
    slope = 60 + (x * 2 + y + 5 * number) % 120
    picture = np.stack([slope, slope[:, ::-1], 180 - slope // 2], axis=2).astype(np.uint8)
    for bit in range(_BITS):
        value = 235 if number >> bit & 1 else 16
        left = bit * _BLOCK_PX
        picture[:_BLOCK_PX, left : left + _BLOCK_PX] = value
    return picture


def number_of(frame: Frame) -> int:
    """Read the number of a frame back, from any pixel format."""
    plane = frame.planes[0].astype(np.float64) / frame.pixel_format.max_value
    blocks = [
        plane[2 : _BLOCK_PX - 2, bit * _BLOCK_PX + 2 : (bit + 1) * _BLOCK_PX - 2].mean()
        for bit in range(_BITS)
    ]
    return sum(1 << bit for bit, value in enumerate(blocks) if value > 0.5)


def make_clip(path: Path, clip: Clip | None = None) -> Path:
    """Write a film; frame ``n`` carries the number ``n``, or is white where it flashes."""
    clip = clip or Clip()
    with av.open(str(path), "w", container_options=clip.container_options) as container:
        video = _video_stream(container, clip)
        audio = [_audio_stream(container, sound) for sound in clip.sounds]
        container.metadata.update(clip.metadata)
        packets = [*_video_packets(video, clip)]
        for stream, sound in zip(audio, clip.sounds, strict=True):
            packets.extend(_audio_packets(stream, sound))
        packets.sort(key=lambda packet: (packet.dts or 0) * packet.time_base)
        container.mux(packets)
    return path


def _video_stream(container: OutputContainer, clip: Clip) -> Any:
    video: Any = container.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
    video.height, video.width = clip.size_hw
    video.pix_fmt = clip.pixel_format
    video.codec_context.time_base = clip.time_base
    video.time_base = clip.time_base
    video.codec_context.thread_count = 1
    video.codec_context.flags |= 1 << 8
    if clip.sample_aspect_ratio is not None:
        video.codec_context.sample_aspect_ratio = clip.sample_aspect_ratio
    if clip.rotation_degrees is not None or clip.flipped:
        video.set_display_rotation(clip.rotation_degrees or 0, hflip=clip.flipped)
    if clip.color is not None:
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc = clip.color[:3]
        context.color_range = clip.color[3]
    if clip.field_order is not None:
        video.codec_context.flags |= _INTERLACED
        video.codec_context.field_order = 2 if clip.field_order == "tff" else 3
    return video


def _video_packets(video: Any, clip: Clip) -> Iterator["Packet[Any]"]:
    mark = _field_marker(clip) if clip.field_order else None
    ends = [*clip.ticks[1:], clip.ticks[-1] + clip.last_duration_ticks]
    durations: dict[int, int] = {}
    for number, (ticks, end) in enumerate(zip(clip.ticks, ends, strict=True)):
        seconds = ticks * clip.time_base
        flash = any(
            0 <= seconds - flashes_second < Fraction(1, 25)
            for flashes_second in clip.flashes_seconds
        )
        rgb = (clip.picture or numbered_picture)(number, clip.size_hw)
        if flash:
            rgb[:] = 255
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=clip.pixel_format)
        if clip.color is not None:
            frame.colorspace, frame.color_primaries, frame.color_trc = clip.color[:3]
            frame.color_range = clip.color[3]
        frame.pts, frame.time_base, frame.duration = ticks, clip.time_base, end - ticks
        durations[ticks] = end - ticks
        if mark is not None:
            frame = mark(frame)
        yield from _timed(video.encode(frame), durations)
    yield from _timed(video.encode(None), durations)


def _timed(packets: Sequence["Packet[Any]"], durations: dict[int, int]) -> Iterator["Packet[Any]"]:
    for packet in packets:
        assert packet.pts is not None
        packet.duration = durations[packet.pts]
        yield packet


def _field_marker(clip: Clip) -> Callable[[av.VideoFrame], av.VideoFrame]:
    graph = Graph()
    height, width = clip.size_hw
    source = graph.add_buffer(
        width=width,
        height=height,
        format=av.VideoFormat(clip.pixel_format),
        time_base=clip.time_base,
    )
    marker, sink = graph.add("setfield", clip.field_order), graph.add("buffersink")
    source.link_to(marker)
    marker.link_to(sink)
    graph.configure()

    def marked(frame: av.VideoFrame) -> av.VideoFrame:
        graph.push(frame)
        pulled = graph.vpull()
        assert isinstance(pulled, av.VideoFrame)
        return pulled

    return marked


def _audio_stream(container: OutputContainer, sound: Sound) -> Any:
    stream: Any = container.add_stream(sound.codec, rate=SAMPLE_RATE_HZ, layout="mono")
    stream.codec_context.thread_count = 1
    if sound.language is not None:
        stream.metadata["language"] = sound.language
    return stream


def _audio_packets(stream: Any, sound: Sound) -> Iterator["Packet[Any]"]:
    samples = int(sound.seconds * SAMPLE_RATE_HZ)
    at_seconds = float(sound.start_seconds) + np.arange(samples) / SAMPLE_RATE_HZ
    wave = np.zeros(samples)
    for beep in sound.beeps_seconds:
        since = at_seconds - float(beep)
        wave += np.where(
            (since >= 0) & (since < 0.04), np.sin(2 * np.pi * sound.beep_hz * since), 0
        )
    is_float: bool = stream.format.name.startswith("flt")
    data: NDArray[Any] = (
        (wave * 0.8).astype(np.float32)[None] if is_float else (wave * 26000).astype(np.int16)[None]
    )
    stream.codec_context.open(strict=False)
    step: int = stream.codec_context.frame_size or 1152
    start = round(sound.start_seconds * SAMPLE_RATE_HZ)
    for index in range(0, samples, step):
        block = np.ascontiguousarray(data[:, index : index + step])
        frame = av.AudioFrame.from_ndarray(block, format=stream.format.name, layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start + index
        frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def run_ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg program that comes with imageio-ffmpeg."""
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)],
        check=True,
        capture_output=True,
    )


def make_rich_clip(folder: Path, name: str = "rich.mkv") -> Path:
    """Write a film with two audio tracks, subtitles, chapters, tags and, in Matroska, a font."""
    plain = make_clip(
        folder / "plain.mkv",
        Clip(
            ticks=tuple(range(50)),
            sounds=(
                Sound(codec="flac", seconds=Fraction(2), language="eng"),
                Sound(codec="flac", seconds=Fraction(1), start_seconds=Fraction(1, 2)),
            ),
        ),
    )
    subtitles = folder / "lines.srt"
    subtitles.write_text(
        "1\n00:00:00,200 --> 00:00:00,900\nHello\n\n2\n00:00:01,000 --> 00:00:01,700\nWorld\n"
    )
    chapters = folder / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\ntitle=A film\nARCHIVE_ID=K-17\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=800\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=800\nEND=2000\ntitle=Two\n"
    )
    inputs = ("-i", plain, "-i", subtitles, "-f", "ffmetadata", "-i", chapters)
    streams = ("-map", "0", "-map", "1", "-map_metadata", "2", "-map_chapters", "2")
    tags = ("-metadata:s:a:1", "title=Comment", "-metadata:s:s:0", "language=deu")
    flags = ("-disposition:a:1", "comment", "-disposition:s:0", "forced")
    path = folder / name
    extra: tuple[str | Path, ...] = ("-c:s", "mov_text", "-c:a", "aac", "-c:v", "copy")
    if path.suffix == ".mkv":
        font = folder / "font.ttf"
        font.write_bytes(b"\x00\x01\x00\x00" + bytes(range(256)))
        extra = ("-c", "copy", "-c:s", "srt", "-attach", font)
        extra += ("-metadata:s:t", "mimetype=application/x-truetype-font")
    run_ffmpeg(*inputs, *streams, *tags, *flags, *extra, path)
    return path


def damage_packet(path: Path, number: int) -> None:
    """Overwrite the inside of one video packet of a film."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        position, size = packets[number].pos, packets[number].size
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(number)
    assert position is not None
    inside = slice(position + min(8, size // 4), position + size)
    data[inside] = rng.integers(0, 256, len(data[inside]), dtype=np.uint8).tobytes()
    path.write_bytes(data)


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """One packet as a demuxer gives it, in seconds."""

    pts: Fraction
    duration: Fraction
    data: bytes


def packets_of(path: Path, kind: str, number: int = 0) -> list[PacketRecord]:
    """Return the packets of the n-th stream of a kind."""
    with av.open(str(path)) as container:
        stream = [stream for stream in container.streams if stream.type == kind][number]
        return [
            PacketRecord(
                packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base,
                bytes(packet),
            )
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]  # fmt: skip


def _seconds(frame: AudioFrame | VideoFrame) -> Fraction:
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base


def first_beep_seconds(path: Path, number: int = 0) -> Fraction:
    """Return when an audio track is first loud."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=number):
            wave = np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0)
            full_scale = {"flt": 1.0, "s16": 2.0**15, "s32": 2.0**31}[frame.format.name[:3]]
            loud = np.flatnonzero(wave > 0.2 * full_scale)
            if loud.size:
                return _seconds(frame) + Fraction(int(loud[0]), frame.sample_rate)
    raise AssertionError(f"{path}: no beep")


def first_flash_seconds(path: Path) -> Fraction:
    """Return the time of the first white frame."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.to_ndarray(format="gray").mean() > 220:
                return _seconds(frame)
    raise AssertionError(f"{path}: no flash")
