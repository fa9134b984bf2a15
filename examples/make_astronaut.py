"""Make ``examples/astronaut.mp4``: a still portrait turned into a short piece of "old" film.

The picture is NASA's portrait of Eileen Collins, in the public domain, as shipped with
scikit-image (a development dependency: ``pip install vidrestore[dev]``). The camera pans,
zooms and turns slowly; every frame is then blurred, grained and compressed as old footage
is, and a few synthesized notes are its soundtrack. The same seed gives the same pictures.

    python examples/make_astronaut.py [--output astronaut.mp4] [--seed 1969]
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

FRAME_RATE = 25
FRAME_COUNT = 100
FRAME_HW = (480, 640)
SAMPLE_RATE_HZ = 48_000
AUDIO_BLOCK = 1024
NOTES_HZ = (261.63, 329.63, 392.00, 523.25, 392.00, 329.63, 293.66, 261.63)
NOTE_SECONDS = 0.5


def camera(progress: float) -> NDArray[np.float64]:
    """Return the ``(2, 3)`` map from picture to frame pixels at ``progress`` in [0, 1]."""
    height, width = FRAME_HW
    swing = np.sin(2 * np.pi * progress)
    zoom = 1.42 + 0.12 * progress
    angle = np.deg2rad(4.0 * swing)
    look_at_xy = np.array([255.0 - 15.0 * np.cos(2 * np.pi * progress), 198.0 + 12.0 * swing])
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([width / 2, height / 2]) - turn @ look_at_xy
    return np.hstack([turn, shift[:, None]])


def aged(frame_rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return ``(h, w, 3)`` uint8 RGB with lens blur, lost detail, coarse grain and flicker."""
    height, width = FRAME_HW
    soft = cv2.GaussianBlur(frame_rgb, (0, 0), sigmaX=1.4)
    small = cv2.resize(soft, (width * 2 // 5, height * 2 // 5), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0.0, 13.0, size=FRAME_HW).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), sigmaX=0.7)
    exposure = 0.96 + 0.02 * rng.standard_normal()
    faded = 14.0 + 0.90 * exposure * coarse.astype(np.float32) + grain[..., None]
    return np.clip(np.rint(faded), 0, 255).astype(np.uint8)


def frames(rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Yield every picture of the film, ``(h, w, 3)`` uint8 RGB."""
    height, width = FRAME_HW
    portrait = np.asarray(data.astronaut(), dtype=np.uint8)
    for index in range(FRAME_COUNT):
        view = cv2.warpAffine(
            portrait,
            camera(index / (FRAME_COUNT - 1)),
            (width, height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        yield aged(view.astype(np.uint8), rng)


def soundtrack() -> NDArray[np.float32]:
    """Return ``(1, samples)`` float32 in [-1, 1]: plucked notes as long as the film."""
    samples = SAMPLE_RATE_HZ * FRAME_COUNT // FRAME_RATE
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    note = np.minimum((seconds / NOTE_SECONDS).astype(np.int64), len(NOTES_HZ) - 1)
    since_seconds = seconds - note * NOTE_SECONDS
    envelope = np.minimum(since_seconds / 0.01, 1.0) * np.exp(-4.0 * since_seconds)
    phase = 2 * np.pi * np.asarray(NOTES_HZ)[note] * since_seconds
    wave = envelope * (np.sin(phase) + 0.3 * np.sin(2 * phase) + 0.1 * np.sin(3 * phase))
    return (0.25 * wave).astype(np.float32)[None]


def write_film(path: Path, rng: np.random.Generator) -> None:
    """Encode pictures and sound as H.264 and AAC."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as film:
        video = film.add_stream("libx264", rate=FRAME_RATE)
        video.height, video.width = FRAME_HW
        video.pix_fmt = "yuv420p"
        video.options = {"crf": "30", "preset": "slow", "threads": "1"}
        video.codec_context.color_range = 1
        video.codec_context.colorspace = 6
        video.codec_context.color_primaries = 6
        video.codec_context.color_trc = 6
        audio = film.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        audio.bit_rate = 48_000
        for index, picture in enumerate(frames(rng)):
            decoded = av.VideoFrame.from_ndarray(picture, format="rgb24")
            planar = decoded.reformat(format="yuv420p", dst_colorspace=5, dst_color_range=1)
            planar.pts, planar.time_base = index, Fraction(1, FRAME_RATE)
            film.mux(video.encode(planar))
        film.mux(video.encode(None))
        sound = soundtrack()
        for start in range(0, sound.shape[1], AUDIO_BLOCK):
            block = np.ascontiguousarray(sound[:, start : start + AUDIO_BLOCK])
            heard = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            heard.sample_rate, heard.pts = SAMPLE_RATE_HZ, start
            heard.time_base = Fraction(1, SAMPLE_RATE_HZ)
            film.mux(audio.encode(heard))
        film.mux(audio.encode(None))


def main() -> None:
    """Read the command line and write the film."""
    parser = argparse.ArgumentParser(description="Make the example film.")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("astronaut.mp4"))
    parser.add_argument("--seed", type=int, default=1969)
    arguments = parser.parse_args()
    write_film(arguments.output, np.random.default_rng(arguments.seed))
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
