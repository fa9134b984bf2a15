"""Measure the speed and memory of the program on this machine: a table and one line of JSON.

    python scripts/benchmark.py                       # all parts
    python scripts/benchmark.py speed --frames 300    # one part
    python scripts/benchmark.py network --model gfpgan-1.4   # or all; --batches 1 4 16

- speed: 720p films with one large and one small face at the default settings, with the time of
  each stage.
- network: time and arithmetic rate of a restorer, and the error of half precision.
- memory: the peak for a film of 10 minutes over the peak for one of 1 minute.
- loader: faces a second from the training loader alone, from a folder and from shards.
- scale: processor time a frame against faces, size and length.
- untouched: a 1080p film without faces, compared with decoding and encoding alone.

``scripts/evaluate.py`` measures quality.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import torch
from benchmark_loader import benchmark_loader
from benchmark_networks import NETWORKS, benchmark_network
from benchmark_scale import FACES, SIZES_HW, crowd, measured

from vidrestore import RestoreSettings, restore_video
from vidrestore.devices import resolve_device
from vidrestore.malloc_tuning import keep_freed_memory
from vidrestore.media.color.preview import preview_rgb
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.encoders import encoder_choice, encoder_options
from vidrestore.media.output.open_output import open_output
from vidrestore.types import DisplayGeometry, Frame, Plane, Timestamp

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "astronaut.mp4"
PARTS = ("speed", "network", "loader", "memory", "untouched", "scale")


def film(
    target: Path, *, hw: tuple[int, int], frames: int, rate: Fraction, part: float = 1.0
) -> None:
    """Write the example, played forwards and backwards, as a film of ``frames`` frames.

    It is scaled to ``part`` of the height of ``hw`` and its border is extended to all sides,
    because the safeguard does not take a squeezed face for one.
    """
    with open_source(EXAMPLE) as source:
        resized = [_resized(frame, hw, part) for frame in source]
        order = [*range(len(resized)), *range(len(resized) - 2, 0, -1)]
        info = source.info
    made = (
        replace(
            resized[order[index % len(order)]],
            index=index,
            timestamp=Timestamp(index, 1 / rate).rescaled(info.time_base),
            duration_ticks=0,
        )
        for index in range(frames)
    )
    _write_video(target, made, info, hw)


def _write_video(
    target: Path, frames: Iterable[Frame], info: VideoInfo, hw: tuple[int, int]
) -> None:
    """Write frames of another size than the source's, without the other streams of the source."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_output(
            target,
            info=info,
            source_path=None,
            settings=EncoderSettings(codec="h264", crf=18, preset="veryfast"),
            geometry=DisplayGeometry(coded_hw=hw),
        ) as output,
    ):
        writer = output.open_segment(Path(folder) / "segment")
        for frame in frames:
            writer.write(frame)
        output.assemble([writer.finish()])


def _resized(frame: Frame, hw: tuple[int, int], part: float) -> Frame:
    planes: list[Plane] = []
    for index, plane in enumerate(frame.planes):
        height, width = frame.pixel_format.plane_hw(index, hw)
        own_height = round(height * part)
        own_width = min(width, round(plane.shape[1] * own_height / plane.shape[0]))
        shrinks = own_height < plane.shape[0]
        kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        grown = cv2.resize(plane, (own_width, own_height), interpolation=kernel)
        top, left = (height - own_height) // 2, (width - own_width) // 2
        bottom, right = height - own_height - top, width - own_width - left
        wide = cv2.copyMakeBorder(grown, top, bottom, left, right, cv2.BORDER_REPLICATE)
        planes.append(np.asarray(wide, dtype=plane.dtype))
    return frame.with_planes(tuple(planes))


def speed(folder: Path, *, frames: int) -> dict[str, Any]:
    """Restore 720p films with a face of about 190 and of 95 px, one after the other."""
    warm = folder / "warm.mp4"
    film(warm, hw=(720, 1280), frames=12, rate=Fraction(25))
    restore_video(warm, folder / "warm_out.mp4")
    return {
        name: _speed(folder, frames=frames, part=part)
        for name, part in (("large_face", 1.0), ("small_face", 0.5))
    }


def _speed(folder: Path, *, frames: int, part: float) -> dict[str, Any]:
    """Return frames a second and milliseconds by stage; ``part`` is the scale of the face."""
    source = folder / f"speed_{part}.mp4"
    film(source, hw=(720, 1280), frames=frames, rate=Fraction(25), part=part)
    started = time.perf_counter()
    report = restore_video(source, folder / f"speed_{part}_out.mp4")
    seconds = time.perf_counter() - started
    if report.faces < frames // 2:
        raise SystemExit(
            f"only {report.faces} faces of {frames} were restored: the times would mean nothing"
        )
    stages = {name: 1000 * seconds / report.frames for name, seconds in report.timing.items()}
    waited = stages.pop("wait", 0.0)
    whole = 1000 * (seconds - report.timing["load"]) / report.frames
    return {
        "frames": report.frames,
        "faces": report.faces,
        "frames_per_second": report.frames / seconds,
        "ms_per_frame": whole,
        # Stages overlap: together they take longer than a frame does.
        "stages_without_network_ms": sum(stages.values()) - stages["load"] - stages["restore"],
        "stages_ms": stages,
        # Of threads for each other.
        "waited_ms": waited,
        "precision": report.precision,
        "device": report.device,
    }


def untouched(folder: Path, *, frames: int, repeats: int = 3) -> dict[str, Any]:
    """Return the time of a 1080p film without faces, over that of its decoding and encoding."""
    source, target = folder / "untouched.mp4", folder / "untouched_out.mp4"
    landscape(source, hw=(1080, 1920), frames=frames)
    restore_video(source, target, settings=RestoreSettings(end_seconds=Fraction(1, 2)))
    plain: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    report = None
    for _ in range(repeats):
        started = time.perf_counter(), time.process_time()
        transcode(source, folder / "plain.mp4")
        plain.append(_since(started))
        started = time.perf_counter(), time.process_time()
        report = restore_video(source, target, settings=RestoreSettings(overwrite=True))
        seconds, spent = _since(started)
        load = report.timing["load"]
        ours.append((seconds - load, spent - load))
    if report is None:
        raise ValueError("repeats must be at least 1")
    pairs = list(zip(ours, plain, strict=True))
    ratios = [mine[0] / other[0] for mine, other in pairs]
    return {
        "frames": frames,
        "faces": report.faces,
        "plain_ms_per_frame": 1000 * float(np.median([times[0] for times in plain])) / frames,
        "ours_ms_per_frame": 1000 * float(np.median([times[0] for times in ours])) / frames,
        "ratio": float(np.median(ratios)),
        "ratios": ratios,
        "ratio_of_cpu_time": float(np.median([mine[1] / other[1] for mine, other in pairs])),
        # Other programs on the machine can only add to a time.
        "ratio_of_least_cpu_times": min(times[1] for times in ours)
        / min(times[1] for times in plain),
        "stages_ms": {name: 1000 * seconds / frames for name, seconds in report.timing.items()},
    }


def _since(started: tuple[float, float]) -> tuple[float, float]:
    """Return elapsed seconds, and CPU seconds of all cores."""
    return time.perf_counter() - started[0], time.process_time() - started[1]


def landscape(target: Path, *, hw: tuple[int, int], frames: int) -> None:
    """Write a pan over smooth noise with grain: no faces, but work for an encoder."""
    height, width = hw
    rng = np.random.default_rng(0)
    wide = np.zeros((height, width + 2 * frames), dtype=np.float32)
    for cells in (4, 16, 64, 256):
        coarse = rng.normal(0, 1, (cells, 2 * cells)).astype(np.float32)
        wide += 24 / np.sqrt(cells) * cv2.resize(coarse, wide.shape[::-1]) * 4
    grain = rng.normal(0, 3, (4, height, width)).astype(np.float32)
    with open_source(EXAMPLE) as source:
        info, (first, *_) = source.info, source
    gray = np.full((height // 2, width // 2), 128, dtype=np.uint8)

    def made(index: int) -> Frame:
        plane = wide[:, 2 * index : 2 * index + width] + grain[index % len(grain)]
        luma = np.clip(plane + 110, 16, 235).astype(np.uint8)
        return Frame(
            index=index,
            timestamp=Timestamp(index, Fraction(1, 25)).rescaled(info.time_base),
            duration_ticks=0,
            planes=(luma, gray, gray),
            pixel_format=first.pixel_format,
            color=first.color,
        )

    _write_video(target, map(made, range(frames)), info, hw)


def transcode(source: Path, target: Path) -> None:
    """Decode and encode a film as ``restore_video`` does, and do nothing else."""
    with open_source(source) as opened:
        info = opened.info
    choice = encoder_choice(EncoderSettings(), info.pixel_format, info.geometry.coded_hw)
    with av.open(str(source)) as film, av.open(str(target), "w") as output:
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        added = cast(
            av.VideoStream,
            output.add_stream(choice.encoder, info.average_rate or 25),
        )
        added.width, added.height, added.pix_fmt = stream.width, stream.height, choice.name
        added.codec_context.time_base = info.time_base
        added.codec_context.options = encoder_options(
            EncoderSettings(), choice.planar, info.geometry.coded_hw
        )
        added.codec_context.thread_type = "AUTO"
        for frame in film.decode(stream):
            frame.pict_type = 0
            output.mux(added.encode(frame))
        output.mux(added.encode(None))


def memory(folder: Path, *, minutes: tuple[int, int], rate: Fraction) -> dict[str, Any]:
    """Return the peak memory of restoring a short and a long film, each in a separate process."""
    peaks: list[float] = []
    for length in minutes:
        source = folder / f"memory{length}.mp4"
        film(source, hw=(240, 320), frames=int(60 * length * rate), rate=rate)
        target = folder / f"memory{length}_out.mp4"
        child = subprocess.run(
            [sys.executable, __file__, "peak", str(source), str(target)],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        peaks.append(float(child.stdout.strip().splitlines()[-1]))
    return {
        "minutes": minutes,
        "frames_per_second": str(rate),
        "peak_mib": peaks,
        "ratio": peaks[1] / peaks[0],
    }


def scale(folder: Path, *, frames: int, minutes: tuple[int, int]) -> dict[str, Any]:
    """Return processor time a frame against faces in a frame, size, and length."""
    warm = folder / "warm_scale.mp4"
    film(warm, hw=(360, 640), frames=12, rate=Fraction(25))
    measured(warm)
    with open_source(EXAMPLE) as source:
        info = source.info
    results: dict[str, Any] = {"faces": {}, "size": {}, "length": {}}
    for faces in FACES:
        path = folder / f"faces{faces}.mp4"
        _write_video(path, crowd(EXAMPLE, faces=faces, frames=frames), info, (1080, 1920))
        results["faces"][str(faces)] = measured(path)
    for hw in SIZES_HW:
        path = folder / f"size{hw[0]}.mp4"
        film(path, hw=hw, frames=frames, rate=Fraction(25))
        results["size"][f"{hw[0]}p"] = measured(path)
    for seconds in (10, 60 * minutes[0], 60 * minutes[1]):
        path = folder / f"length{seconds}.mp4"
        film(path, hw=(240, 320), frames=5 * seconds, rate=Fraction(5))
        results["length"][f"{seconds} s"] = measured(path)
    return results


def example_face() -> np.ndarray:
    """Return a frame of the example as an image of 512 px, RGB."""
    with open_source(EXAMPLE) as source:
        view = preview_rgb(next(iter(source)), source.info.geometry, 512)
    side = min(view.rgb_hwc.shape[:2])
    return cv2.resize(view.rgb_hwc[:side, :side], (512, 512), interpolation=cv2.INTER_CUBIC)


def print_peak(source: Path, target: Path) -> None:
    """Restore ``source`` and print the peak memory of this process in MiB."""
    keep_freed_memory()
    restore_video(source, target)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _print_table(results: dict[str, Any], *, indent: str = "") -> None:
    for name, value in results.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _print_table(cast("dict[str, Any]", value), indent=indent + "  ")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            print(f"{indent}{name:<{34 - len(indent)}}{text}")


def main() -> None:
    """Parse the command line and measure."""
    if sys.argv[1:2] == ["peak"]:
        print_peak(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--model", default="lite", help="name of a restorer; the part network also takes 'all'"
    )
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 4, 16))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches-timed", type=int, default=20, help="of the loader, of 8 faces")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--scale-frames", type=int, default=50, help="of each film of scale")
    parser.add_argument("--minutes", type=int, nargs=2, default=(1, 10))
    parser.add_argument(
        "--memory-rate",
        type=int,
        default=5,
        help="frames per second of the films of the part memory",
    )
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command does
    parts = arguments.parts or list(PARTS)
    results: dict[str, Any] = {"cores": os.cpu_count(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "network" in parts:
            results["network"] = {
                name: benchmark_network(
                    name,
                    device=resolve_device("auto"),
                    batches=arguments.batches,
                    repeats=arguments.repeats,
                    stills=arguments.data / "val" / "stills",
                )
                for name in (NETWORKS if arguments.model == "all" else [arguments.model])
            }
        if "speed" in parts:
            results["speed"] = speed(folder, frames=arguments.frames)
        if "loader" in parts:
            cores = os.cpu_count() or 1
            results["loader"] = benchmark_loader(
                example_face(),
                workers=tuple(sorted({0, 1, cores})),
                batches=arguments.batches_timed,
            )
        if "untouched" in parts:
            results["untouched"] = untouched(folder, frames=arguments.frames)
        if "scale" in parts:
            minutes = (arguments.minutes[0], arguments.minutes[1])
            results["scale"] = scale(folder, frames=arguments.scale_frames, minutes=minutes)
        if "memory" in parts:
            minutes = (arguments.minutes[0], arguments.minutes[1])
            rate = Fraction(arguments.memory_rate)
            results["memory"] = memory(folder, minutes=minutes, rate=rate)
    _print_table(results)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
