"""Invalid timestamps."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.packet import Packet
from faults.bench import Bench, audio_packets, chapter, frames_of
from faults.files import FRAMES, film

fault = chapter("Timestamps")

_STEP_MS = 40


def _clip(bench: Bench) -> Path:
    return bench.clip(
        "whole.mkv",
        ticks=range(0, 30 * _STEP_MS, _STEP_MS),
        time_base=Fraction(1, 1000),
        last_duration_ticks=_STEP_MS,
        options={"bf": "0", "g": "8", "crf": "10"},
    )


def _with_changed_packets(path: Path, name: str, change: Callable[[Packet, int], None]) -> Path:
    """Copy a film, calling ``change`` with every packet and its number."""
    target = path.with_name(name)
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(path)) as source, av.open(str(target), "w", options=options) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            change(packet, number)
            packet.stream = stream
            output.mux_one(packet)
    return target


@fault(
    "packets with a duration of zero",
    "each frame lasts until the next one",
)
def no_duration(bench: Bench) -> None:
    def change(packet: Packet, _number: int) -> None:
        packet.duration = 0

    for suffix in ("mkv", "ts", "mp4"):
        path = _with_changed_packets(_clip(bench), f"film.{suffix}", change)
        outcome = bench.restore(path, output=f"{suffix}.mkv").assert_succeeded()
        assert outcome.numbers() == list(range(30))
        first = outcome.times_ms()[0]
        assert [time - first for time in outcome.times_ms()] == [40 * index for index in range(30)]


@fault(
    "two frames with the same timestamp",
    "the second one gets the next possible timestamp; all others keep theirs; the report "
    "counts the change",
)
def same_time(bench: Bench) -> None:
    def change(packet: Packet, number: int) -> None:
        if number % 5 == 3:
            packet.pts = packet.dts = packet.pts - _STEP_MS

    outcome = bench.restore(
        _with_changed_packets(_clip(bench), "film.mkv", change)
    ).assert_succeeded()

    assert outcome.numbers() == list(range(30))
    times = outcome.times_ms()
    assert times == [40 * index - (39 if index % 5 == 3 else 0) for index in range(30)]
    assert outcome.has_note("6 frames had no valid timestamp and got a new one")


@fault(
    "negative timestamps",
    "the output starts at zero; the distances between frames are kept",
)
def below_zero(bench: Bench) -> None:
    def change(packet: Packet, _number: int) -> None:
        packet.pts = packet.dts = packet.pts - 10 * _STEP_MS

    path = _with_changed_packets(_clip(bench), "film.ts", change)
    assert frames_of(path)[0].timestamp.seconds < 0
    outcome = bench.restore(path).assert_succeeded()
    assert outcome.numbers() == list(range(30))
    assert outcome.times_ms() == [40 * index for index in range(30)]


@fault(
    "a clock that restarts, as in two recordings joined byte by byte",
    "video and audio timestamps continue in the steps of the new clock; the report counts "
    "the change",
)
def restarting_clock(bench: Bench) -> None:
    one = film(bench, "one.ts", sound="mp2")
    two = film(bench, "two.ts", sound="mp2")
    path = bench.folder / "film.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())

    outcome = bench.restore(path).assert_succeeded()

    assert outcome.numbers() == [*range(FRAMES), *range(FRAMES)]
    times = outcome.times_ms()
    steps = [after - before for before, after in pairwise(times)]
    assert set(steps) == {40}
    assert outcome.has_note(f"{FRAMES} frames had no valid timestamp and got a new one")
    assert outcome.audio() == audio_packets(path)
    assert _audio_end_ms(outcome.output) - times[-1] < 200


def _audio_end_ms(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        times = [packet.pts * packet.time_base for packet in packets]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    return float(times[-1] * 1000)
