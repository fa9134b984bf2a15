"""Train `compact`, the small network for whole images, to imitate Real-ESRGAN x4plus.

    python scripts/train_compact.py START.safetensors PICTURES... --target compact_x4.safetensors

First the teacher upscales tiles of images, which are shrunk and lightly degraded; some are gray,
and some are lines of type. Then the student learns to give the same result (L1 of the pixels and of
the differences between neighboring pixels). START is a compact network of 64 features and 16
convolutions, such as scripts/convert_realesrgan.py makes. The result depends on the arguments and
the number of threads alone. The measurements are in configs/train/compact.md.
"""

import argparse
import copy
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidrestore.errors import VidrestoreError
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.registry import UPSCALERS
from vidrestore.models.upscalers.rrdbnet import RRDBNet
from vidrestore.weights.load import load_weights
from vidrestore.weights.metadata import FORMAT_VERSION
from vidrestore.weights.save import save_weights

ByteArray = NDArray[np.uint8]

DATA = Path(__file__).parent.parent / "vidrestore" / "models" / "data"
TILE_PX = 64
_BORDER_PX = 8
"""Border of a tile that is not learned from: the networks see the edge there."""
_TYPE_SHARE, _GRAY_SHARE, _SHARP_SHARE, _JPEG_SHARE = 0.08, 0.15, 0.25, 0.5
_LEARNING_RATE = 4e-4
_EMA_STEP = 0.005


def tiles(files: Sequence[Path], count: int, *, seed: int) -> Iterator[ByteArray]:
    """Yield ``(TILE_PX, TILE_PX, 3)`` BGR tiles of images, degraded like film and video."""
    rng = np.random.default_rng(seed)
    done = 0
    while done < count:
        picture = cv2.imread(str(files[int(rng.integers(0, len(files)))]), cv2.IMREAD_COLOR)
        if picture is None or min(picture.shape[:2]) < 2 * TILE_PX:
            continue
        # Several tiles of one image: reading a large one takes longer than the teacher.
        for _ in range(min(4, count - done)):
            is_type = rng.random() < _TYPE_SHARE
            tile = _type(rng) if is_type else _tile(picture.astype(np.uint8), rng)
            yield _degrade(tile, rng)
            done += 1


def _tile(picture: ByteArray, rng: np.random.Generator) -> ByteArray:
    height, width = (int(side) for side in picture.shape[:2])
    share = float(rng.uniform(max(0.25, TILE_PX / min(height, width)), 1.0))
    side = round(TILE_PX / share)
    top = int(rng.integers(0, height - side + 1))
    left = int(rng.integers(0, width - side + 1))
    part = picture[top : top + side, left : left + side]
    small = _shrink(part)
    return np.ascontiguousarray(small[:, ::-1]) if rng.random() < 0.5 else small


def _shrink(picture: ByteArray) -> ByteArray:
    small = cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


def _type(rng: np.random.Generator) -> ByteArray:
    """Return a tile of a title: light letters on a dark background, or the reverse."""
    ground, ink = (
        int(level) for level in rng.permutation([rng.integers(60), rng.integers(190, 256)])
    )
    image = np.full((4 * TILE_PX, 4 * TILE_PX, 3), ground, np.uint8)
    for row in range(1, 6):
        text = "".join(chr(code) for code in rng.integers(48, 123, 12))
        position = (int(rng.integers(-40, 20)), 50 * row)
        face, size = int(rng.integers(8)), float(rng.uniform(0.8, 2.0))
        cv2.putText(
            image, text, position, face, size, (ink,) * 3, int(rng.integers(1, 5)), cv2.LINE_AA
        )
    return _shrink(image)


def _degrade(tile: ByteArray, rng: np.random.Generator) -> ByteArray:
    image = tile.astype(np.float32)
    if rng.random() < _GRAY_SHARE:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() > _SHARP_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.2)))
    image = image + rng.normal(0, rng.uniform(0, 8), image.shape)
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    if rng.random() < _JPEG_SHARE:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))]
        pixels = cv2.imdecode(cv2.imencode(".jpg", pixels, quality)[1], cv2.IMREAD_COLOR)
        assert pixels is not None
    return pixels.astype(np.uint8)


def as_tensor(tile: ByteArray) -> Tensor:
    """Return ``(1, 3, H, W)`` RGB in [0, 1], channels last, of a BGR image."""
    rgb = torch.from_numpy(np.ascontiguousarray(tile[:, :, ::-1])).permute(2, 0, 1)
    tensor = rgb[None].float() / 255
    return tensor.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def pairs(teacher: nn.Module, samples: Iterator[ByteArray]) -> tuple[Tensor, Tensor]:
    """Return tiles ``(N, 3, H, W)`` and the teacher's results ``(N, 3, 4 H, 4 W)``, uint8 RGB."""
    inputs: list[Tensor] = []
    targets: list[Tensor] = []
    for number, tile in enumerate(samples, start=1):
        image = as_tensor(tile)
        inputs.append((image * 255).round().byte())
        targets.append((teacher(image).clamp(0, 1) * 255).round().byte())
        if number % 100 == 0:
            print(f"{number} pairs", flush=True)
    return torch.cat(inputs), torch.cat(targets)


def distance(output: Tensor, target: Tensor) -> Tensor:
    """Return the L1 of the inside of images and of the differences between neighbors there."""
    inner = slice(4 * _BORDER_PX, -4 * _BORDER_PX)
    error = (output - target)[:, :, inner, inner]
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + 0.5 * (across + down)


def train(
    student: CompactUpscaler, inputs: Tensor, targets: Tensor, *, steps: int, batch: int, seed: int
) -> CompactUpscaler:
    """Train ``student`` and return the moving average of its weights."""
    student.train().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = copy.deepcopy(student)
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(student.parameters(), lr=_LEARNING_RATE, weight_decay=0.0)
    for step in range(1, steps + 1):
        rate = _LEARNING_RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-6
        optimizer.param_groups[0]["lr"] = rate
        chosen = torch.randint(len(inputs), (batch,), generator=rng)
        image = (inputs[chosen].float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = student(image)
        loss = distance(output.float(), targets[chosen].float() / 255)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for averaged, now in zip(average.parameters(), student.parameters(), strict=True):
                averaged.lerp_(now, max(_EMA_STEP, 1 / step))
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return average.eval()


def save(network: CompactUpscaler, target: Path, *, recipe: str, steps: int) -> None:
    """Write the weights in half precision; the file appears when it is complete."""
    metadata = {
        "format_version": FORMAT_VERSION,
        "model": "compact",
        "licence": "BSD-3-Clause, Xintao Wang; trained on by vidrestore; see NOTICE",
        "recipe": recipe,
        "steps": str(steps),
    }
    state = {
        key: value.to(torch.float16).contiguous() for key, value in network.state_dict().items()
    }
    save_weights(state, target, metadata)


def main() -> int:
    """Parse the command line, make pairs, train, and write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("start", type=Path, help="weights to start from")
    parser.add_argument("pictures", type=Path, nargs="+", help="folders of JPEG and PNG files")
    parser.add_argument("--target", type=Path, default=DATA / UPSCALERS["compact"].packaged_file)
    parser.add_argument("--pairs", type=int, default=800, metavar="N")
    parser.add_argument("--steps", type=int, default=1000, metavar="N")
    parser.add_argument("--batch", type=int, default=6, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument(
        "--keep-pairs",
        type=Path,
        metavar="FILE",
        help="write the pairs here, or read them if the file exists",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files = sorted(
        path
        for folder in arguments.pictures
        for path in folder.rglob("*")
        if path.suffix.lower() in (".jpg", ".png")
    )
    if not files:
        parser.error("no images in these folders")
    try:
        student = CompactUpscaler()
        load_weights(student, arguments.start)
        pairs_folder: Path | None = arguments.keep_pairs
        if pairs_folder is not None and pairs_folder.is_file():
            inputs, targets = torch.load(pairs_folder, weights_only=True)
        else:
            teacher = RRDBNet()
            load_weights(teacher, DATA / UPSCALERS["realesrgan"].packaged_file)
            teacher = teacher.eval().to(torch.bfloat16)
            teacher.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            inputs, targets = pairs(teacher, tiles(files, arguments.pairs, seed=arguments.seed))
            if pairs_folder is not None:
                torch.save((inputs, targets), pairs_folder)
        trained = train(
            student,
            inputs,
            targets,
            steps=arguments.steps,
            batch=arguments.batch,
            seed=arguments.seed,
        )
        save(trained, arguments.target, recipe="configs/train/compact.md", steps=arguments.steps)
    except (VidrestoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.target}: {arguments.target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
