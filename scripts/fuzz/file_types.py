"""The types of files that ``run.py`` damages: how each is made, and what runs on it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeAlias, cast

import av
import cv2
import imageio_ffmpeg
import numpy as np
import torch
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

Program: TypeAlias = Callable[[Sequence[str]], int]

_PLAIN = ("--device", "cpu", "--precision", "fp32", "--quiet")
_LOSSLESS = ("--codec", "ffv1", *_PLAIN)
_FRAMES = 16
_SIZE_HW = (48, 96)
_EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileType:
    """A type of file."""

    make: Callable[[Path], None]
    """Writes the files into a folder."""
    damaged: str
    """Pattern of the files of which one gets damaged."""
    run: Callable[[Program, Path], int]
    """Runs the program in a folder; returns its exit code."""
    outputs: tuple[str, ...] = ("out.mkv",)
    keeps_job: bool = False
    """Whether there is a job folder before the run, which may stay."""
    expected_sha256: Callable[[Path], str | None] = lambda _folder: None
    """Checksum of the output if the program succeeds; None if any output will do."""

    def is_damaged(self, path: Path) -> bool:
        """Whether a file may be damaged."""
        return path.is_file() and path.match(self.damaged)

    def output_problem(self, folder: Path) -> str:
        """Return what is wrong after the program succeeded; an empty string if nothing is."""
        for name in self.outputs:
            if not (folder / name).exists():
                return f"succeeded without {name}"
        expected = self.expected_sha256(folder)
        if expected is not None and _sha256(folder / self.outputs[0]) != expected:
            return "succeeded with other bytes"
        return ""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _film(name: str, codec: str, audio_codec: str | None, **options: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _write_film(folder / name, codec, audio_codec, options)

    return make


def _write_film(
    path: Path, codec: str, audio_codec: str | None, options: Mapping[str, str]
) -> None:
    with av.open(str(path), "w", container_options=dict(options)) as output:
        video: Any = output.add_stream(codec, rate=25)
        video.height, video.width = _SIZE_HW
        video.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        video.codec_context.thread_count = 1
        video.codec_context.gop_size = 6
        audio: Any = None if audio_codec is None else output.add_stream(audio_codec, rate=48_000)
        if audio is not None:
            audio.codec_context.open(strict=False)
        for number in range(_FRAMES):
            rng = np.random.default_rng(number // 4)
            rgb = cv2.resize(rng.integers(0, 256, (6, 12, 3), np.uint8), _SIZE_HW[::-1])
            rgb[:8, : 4 * number] = 255
            frame = av.VideoFrame.from_ndarray(cast("Any", rgb), format="rgb24")
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if audio is not None:
            _write_audio(output, audio)


def _write_audio(output: Any, stream: Any) -> None:
    step = stream.codec_context.frame_size or 1152
    wave = np.sin(np.arange(int(_FRAMES / 25 * 48_000)) / 20) * 0.5
    name, layout = stream.format.name, stream.layout.name
    channels = stream.layout.nb_channels
    integer = {"s16": np.int16, "s32": np.int32}.get(name[:3])
    for start in range(0, len(wave), step):
        block = np.repeat(wave[None, start : start + step], channels, axis=0)
        data = (
            block.astype(np.float32)
            if integer is None
            else (block * np.iinfo(integer).max).astype(integer)
        )
        if not name.endswith("p"):
            data = data.T.reshape(1, -1)
        samples = cast("Any", np.ascontiguousarray(data))
        frame = av.AudioFrame.from_ndarray(samples, format=name, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _restore(source: str, output: str, *options: str) -> Callable[[Program, Path], int]:
    def run(program: Program, folder: Path) -> int:
        # `info` runs first: restoring must not fail worse than it does.
        info_code = program(["info", str(folder / source)])
        words = [str(folder / source), "-o", str(folder / output), *_LOSSLESS, *options]
        code = program([*words, "--drop-unsupported"])
        return code if info_code in (0, 1) else info_code

    return run


def _container(suffix: str, codec: str, audio_codec: str | None, **options: str) -> FileType:
    name = f"film.{suffix}"
    return FileType(
        make=_film(name, codec, audio_codec, **options),
        damaged=name,
        run=_restore(name, "out.mkv"),
    )


def _images(suffix: str) -> FileType:
    def make(folder: Path) -> None:
        images = folder / "frames"
        images.mkdir()
        for number in range(3):
            rng = np.random.default_rng(number)
            bgr = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48))
            _write_image(images / f"{number}.{suffix}", bgr)

    return FileType(
        make=make,
        damaged=f"frames/*.{suffix}",
        run=_restore("frames", "out"),
        outputs=("out",),
    )


def _write_image(path: Path, bgr: Any) -> None:
    if path.suffix in (".dpx", ".exr"):
        import subprocess

        raw = np.ascontiguousarray(bgr).tobytes()
        size = f"{bgr.shape[1]}x{bgr.shape[0]}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo"]
        command += ["-pix_fmt", "bgr24", "-s", size, "-i", "-", "-frames:v", "1", str(path)]
        subprocess.run(command, input=raw, check=True)
    elif path.suffix == ".tif":
        cv2.imwrite(str(path), bgr.astype(np.uint16) * 257)
    else:
        cv2.imwrite(str(path), bgr)


def _lite() -> Path:
    from vidrestore.models.registry import RESTORERS

    name = RESTORERS["lite"].packaged_file
    with as_file(files("vidrestore.models") / "data" / (name or "")) as path:
        return path


def _checkpoint(name: str) -> FileType:
    def make(folder: Path) -> None:
        _write_film(folder / "film.mkv", "libx264", None, {})
        if name.endswith(".pth"):
            torch.save({"params": load_file(_lite())}, folder / name)
        else:
            (folder / name).write_bytes(_lite().read_bytes())

    def run(program: Program, folder: Path) -> int:
        words = [str(folder / "film.mkv"), "-o", str(folder / "out.mkv"), *_LOSSLESS]
        return program([*words, "--model", str(folder / name)])

    return FileType(make=make, damaged=name, run=run)


def _make_record(folder: Path) -> None:
    _face_film(folder / "film.mkv")
    assert _run_here(folder, "--record", str(folder / "out.jsonl")) == 0


def _face_film(path: Path) -> None:
    """Write a few frames of the example, which has a face."""
    with av.open(str(_EXAMPLE)) as source, av.open(str(path), "w") as output:
        video: Any = output.add_stream("ffv1", rate=25)
        video.height, video.width, video.pix_fmt = 128, 128, "yuv420p"
        for number, frame in enumerate(cast("Any", source).decode(video=0)):
            if number == 10:
                break
            small = frame.reformat(width=128, height=128, format="yuv420p")
            small.pts, small.time_base = number, Fraction(1, 25)
            output.mux(video.encode(small))
        output.mux(video.encode(None))


def _run_here(folder: Path, *options: str) -> int:
    from vidrestore.cli import main

    words = [str(folder / "film.mkv"), "-o", str(folder / "out.mkv"), *_LOSSLESS]
    return int(main([*words, *options]))


def _verify(program: Program, folder: Path) -> int:
    words = ["verify", str(folder / "film.mkv"), str(folder / "out.mkv")]
    return program([*words, "--record", str(folder / "out.jsonl")])


_JOB_OPTIONS = ("--segment", "0.04", "--steady", "0")


def _make_job(folder: Path) -> None:
    """Write a film, the checksum of its result, and the job folder of an interrupted run."""
    from vidrestore import RestoreSettings, restore_video
    from vidrestore.progress import Progress
    from vidrestore.settings import JobSettings

    _face_film(folder / "film.mkv")
    assert _run_here(folder, *_JOB_OPTIONS) == 0
    (folder / "expected").write_text(_sha256(folder / "out.mkv"))
    (folder / "out.mkv").unlink()

    class InterruptedRunError(Exception):
        pass

    def interrupt(progress: Progress) -> None:
        if progress.frames_done == 7:
            raise InterruptedRunError

    try:
        restore_video(
            folder / "film.mkv",
            folder / "out.mkv",
            settings=RestoreSettings(codec="ffv1", device="cpu", precision="fp32", steady=0.0),
            job=JobSettings(segment_seconds=0.04),
            on_progress=interrupt,
        )
    except InterruptedRunError:
        return
    raise AssertionError("the run was not interrupted")


def _resume(program: Program, folder: Path) -> int:
    words = [str(folder / "film.mkv"), "-o", str(folder / "out.mkv"), *_LOSSLESS]
    return program([*words, *_JOB_OPTIONS, "--resume"])


def _expected_sha256(folder: Path) -> str:
    return (folder / "expected").read_text()


FILE_TYPES: Mapping[str, FileType] = {
    "mp4": _container("mp4", "libx264", "aac"),
    "mp4-parts": _container("mp4", "libx264", "aac", movflags="frag_keyframe+empty_moov"),
    "mov": _container("mov", "prores_ks", "pcm_s16le"),
    "mkv": _container("mkv", "libx264", "flac", cluster_time_limit="200"),
    "ffv1": _container("mkv", "ffv1", None),
    "webm": _container("webm", "libvpx-vp9", "libopus"),
    "avi": _container("avi", "mpeg4", "ac3"),
    "ts": _container("ts", "mpeg2video", "mp2"),
    "ts-h264": _container("ts", "libx264", "aac"),
    "mpg": _container("mpg", "mpeg2video", "mp2"),
    "mxf": _container("mxf", "mpeg2video", None),
    "flv": _container("flv", "flv", "aac"),
    "png": _images("png"),
    "jpg": _images("jpg"),
    "tif": _images("tif"),
    "dpx": _images("dpx"),
    "exr": _images("exr"),
    "safetensors": _checkpoint("lite.safetensors"),
    "pth": _checkpoint("lite.pth"),
    "record": FileType(make=_make_record, damaged="out.jsonl", run=_verify, outputs=()),
    "job": FileType(
        make=_make_job,
        damaged=".out.mkv.vidrestore/*",
        run=_resume,
        keeps_job=True,
        expected_sha256=_expected_sha256,
    ),
}
