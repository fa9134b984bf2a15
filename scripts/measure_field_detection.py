"""Count how often progressive film is taken for interlaced, and interlaced film is recognized.

    python scripts/measure_field_detection.py FOLDER [--jobs N] [--keep FOLDER]

Every film of the folder must be progressive. FFmpeg makes variants of each: noisy, dark, bright,
still, scaled, slowed, and recompressed by several codecs. None may be called interlaced. The same
films are then made interlaced, top and bottom field first, and telecined, without flags. A still
film shows no fields, so of the interlaced ones the share that is recognized is printed.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imageio_ffmpeg

from vidrestore.media.fields.detection import FieldDetection, detect_fields
from vidrestore.media.input.video_info import probe

_FRAMES = 60
_CLEAN = ("-c:v", "ffv1")
_MPEG2 = ("-c:v", "mpeg2video", "-b:v", "900k")
_NOISE = "noise=alls=24:allf=t"
_VARIANTS: dict[str, tuple[str, Sequence[str]]] = {
    "as it is": ("null", _CLEAN),
    "noisy": (_NOISE, _CLEAN),
    "very noisy": ("noise=alls=60:allf=t", _CLEAN),
    "dark": ("lutyuv=y='16+(val-16)/8'", _CLEAN),
    "dark and noisy": ("lutyuv=y='16+(val-16)/6',noise=alls=8:allf=t", _CLEAN),
    "still": ("loop=loop=60:size=1", _CLEAN),
    "still and noisy": (f"loop=loop=60:size=1,{_NOISE}", _CLEAN),
    "slowed": ("setpts=4*PTS,fps=25", _CLEAN),
    "smaller": ("scale=-2:240:flags=area", _CLEAN),
    "larger": ("scale=-2:576:flags=lanczos", _CLEAN),
    "nearest": ("scale=-2:480:flags=neighbor", _CLEAN),
    "sharpened": ("unsharp=7:7:2.5", _CLEAN),
    "mjpeg": ("format=yuvj420p", ("-c:v", "mjpeg", "-q:v", "2")),
    "mjpeg, coarse": ("format=yuvj420p", ("-c:v", "mjpeg", "-q:v", "24")),
    "mpeg2": ("scale=-2:480", _MPEG2),
    "h264, coarse": ("null", ("-c:v", "libx264", "-crf", "38")),
    "mpeg4, coarse": ("null", ("-c:v", "mpeg4", "-q:v", "22")),
    "phone": (f"{_NOISE},fps=30", ("-c:v", "libx264", "-crf", "30")),
}
_INTERLACED = {
    "top first": "tinterlace=mode=interleave_top",
    "bottom first": "tinterlace=mode=interleave_bottom",
    "telecined": "telecine=pattern=23",
}
_INTERLACED_VARIANTS: dict[str, tuple[str, Sequence[str]]] = {
    "as it is": ("null", _CLEAN),
    "noisy": ("noise=alls=12:allf=t", _CLEAN),
    "dark": ("lutyuv=y='16+(val-16)/4'", _CLEAN),
    "mpeg2": ("null", (*_MPEG2, "-flags", "+ildct+ilme", "-b:v", "3M")),
}


@dataclass(frozen=True)
class Sample:
    """One variant of one film."""

    source: Path
    name: str
    kind: str
    filters: str
    encoder: Sequence[str]


def samples(folder: Path) -> Iterator[Sample]:
    """Yield all variants of all films of a folder."""
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        for name, (filters, encoder) in _VARIANTS.items():
            yield Sample(path, name, "progressive", filters, encoder)
        for kind, weave in _INTERLACED.items():
            for name, (filters, encoder) in _INTERLACED_VARIANTS.items():
                yield Sample(path, name, kind, f"{weave},{filters}", encoder)


def judged(sample: Sample, folder: Path, *, keep: bool) -> FieldDetection:
    """Return what is detected in a variant."""
    path = folder / f"{sample.source.stem}, {sample.kind}, {sample.name}.mkv"
    if not path.exists():
        unfinished = path.with_name(f"unfinished {path.name}")
        subprocess.run(
            [
                imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(sample.source),
                "-an", "-vf", f"{sample.filters},setfield=prog", "-frames:v", str(_FRAMES),
                "-threads", "1", *sample.encoder, str(unfinished),
            ],
            check=True,
        )  # fmt: skip
        unfinished.replace(path)
    try:
        return detect_fields(probe(path), until_clear=True)
    finally:
        if not keep:
            path.unlink()


def main() -> int:
    """Print the counts; return 1 if a progressive film was called interlaced."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="progressive films")
    parser.add_argument("--jobs", type=int, default=1, help="variants made at once")
    parser.add_argument("--keep", type=Path, help="keep the variants here, for another measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep_folder: Path | None = arguments.keep
        if keep_folder is not None:
            keep_folder.mkdir(parents=True, exist_ok=True)
        judge = partial(judged, folder=keep_folder or Path(folder), keep=keep_folder is not None)
        return _count([*samples(arguments.folder)], judge, jobs=arguments.jobs)


def _count(
    everything: Sequence[Sample], judge: Callable[[Sample], FieldDetection], *, jobs: int
) -> int:
    counts: Counter[tuple[str, str, str]] = Counter()
    false_alarms = 0
    with ThreadPoolExecutor(jobs) as pool:
        for sample, detection in zip(everything, pool.map(judge, everything), strict=True):
            is_interlaced = detection.order in ("top first", "bottom first")
            counts[
                sample.kind, sample.name, "interlaced" if is_interlaced else detection.order
            ] += 1
            if (sample.kind == "progressive") == is_interlaced:
                print(
                    f"{sample.source.name}, {sample.kind}, {sample.name}: {detection}", flush=True
                )
                false_alarms += is_interlaced
    for kind, name in dict.fromkeys((sample.kind, sample.name) for sample in everything):
        parts = [
            f"{counts[kind, name, verdict]} {verdict}"
            for verdict in ("interlaced", "progressive", "unknown")
        ]
        print(f"{kind}, {name}: {', '.join(parts)}")
    print(f"{false_alarms} false alarms")
    return int(false_alarms > 0)


if __name__ == "__main__":
    sys.exit(main())
