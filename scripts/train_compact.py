"""Train `compact`, the small network for whole images, to do what Real-ESRGAN x4plus does.

    python scripts/train_compact.py START.safetensors PICTURES... --target compact_x4.safetensors

First the teacher enlarges cuts of images: shrunk, degraded lightly, some gray, some lines of
type. Then the student learns to give the same (L1, also of the differences between neighbouring
pixels). START holds a compact network of 64 features and 16 convolutions, such as the one that
scripts/convert_realesrgan.py makes. The result is a function of the arguments and the number of
threads. The note is in configs/train/compact.md.
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
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from vidrestore.errors import VidrestoreError
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.registry import UPSCALERS
from vidrestore.models.upscalers.rrdbnet import RRDBNet
from vidrestore.weights.load import load_weights
from vidrestore.weights.metadata import FORMAT_VERSION

ByteArray = NDArray[np.uint8]

DATA = Path(__file__).parent.parent / "vidrestore" / "models" / "data"
CUT_PX = 64
_BORDER_PX = 8
"""Of a cut: both networks see its edge there, and nothing is learned from it."""
_TYPE_SHARE, _GREY_SHARE, _SHARP_SHARE, _JPEG_SHARE = 0.08, 0.15, 0.25, 0.5
_LEARNING_RATE = 4e-4
_EMA_STEP = 0.005


def cuts(files: Sequence[Path], count: int, *, seed: int) -> Iterator[ByteArray]:
    """Yield ``(CUT_PX, CUT_PX, 3)`` BGR cuts of images, degraded as film and video are."""
    rng = np.random.default_rng(seed)
    done = 0
    while done < count:
        picture = cv2.imread(str(files[int(rng.integers(0, len(files)))]), cv2.IMREAD_COLOR)
        if picture is None or min(picture.shape[:2]) < 2 * CUT_PX:
            continue
        # Several cuts of one image: reading a large one takes longer than the teacher.
        for _ in range(min(4, count - done)):
            is_type = rng.random() < _TYPE_SHARE
            cut = _type(rng) if is_type else _cut(picture.astype(np.uint8), rng)
            yield _degraded(cut, rng)
            done += 1


def _cut(picture: ByteArray, rng: np.random.Generator) -> ByteArray:
    height, width = (int(side) for side in picture.shape[:2])
    share = float(rng.uniform(max(0.25, CUT_PX / min(height, width)), 1.0))
    side = round(CUT_PX / share)
    top = int(rng.integers(0, height - side + 1))
    left = int(rng.integers(0, width - side + 1))
    part = picture[top : top + side, left : left + side]
    small = _shrunk(part)
    return np.ascontiguousarray(small[:, ::-1]) if rng.random() < 0.5 else small


def _shrunk(picture: ByteArray) -> ByteArray:
    small = cv2.resize(picture, (CUT_PX, CUT_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


def _type(rng: np.random.Generator) -> ByteArray:
    """Return a piece of a title: light letters on a dark ground, or the reverse."""
    ground, ink = (
        int(each) for each in rng.permutation([rng.integers(60), rng.integers(190, 256)])
    )
    image = np.full((4 * CUT_PX, 4 * CUT_PX, 3), ground, np.uint8)
    for row in range(1, 6):
        text = "".join(chr(each) for each in rng.integers(48, 123, 12))
        at = (int(rng.integers(-40, 20)), 50 * row)
        face, size = int(rng.integers(8)), float(rng.uniform(0.8, 2.0))
        cv2.putText(image, text, at, face, size, (ink,) * 3, int(rng.integers(1, 5)), cv2.LINE_AA)
    return _shrunk(image)


def _degraded(cut: ByteArray, rng: np.random.Generator) -> ByteArray:
    image = cut.astype(np.float32)
    if rng.random() < _GREY_SHARE:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() > _SHARP_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.2)))
    image = image + rng.normal(0, rng.uniform(0, 8), image.shape)
    found = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    if rng.random() < _JPEG_SHARE:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))]
        found = cv2.imdecode(cv2.imencode(".jpg", found, quality)[1], cv2.IMREAD_COLOR)
        assert found is not None
    return found.astype(np.uint8)


def as_tensor(cut: ByteArray) -> Tensor:
    """Return ``(1, 3, H, W)`` RGB in [0, 1], channels last, of a BGR image."""
    rgb = torch.from_numpy(np.ascontiguousarray(cut[:, :, ::-1])).permute(2, 0, 1)
    tensor = rgb[None].float() / 255
    return tensor.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def pairs(teacher: nn.Module, inputs: Iterator[ByteArray]) -> tuple[Tensor, Tensor]:
    """Return cuts ``(N, 3, H, W)`` and the teacher's ``(N, 3, 4 H, 4 W)``, uint8 RGB."""
    seen: list[Tensor] = []
    taught: list[Tensor] = []
    for number, cut in enumerate(inputs, start=1):
        image = as_tensor(cut)
        seen.append((image * 255).round().byte())
        taught.append((teacher(image).clamp(0, 1) * 255).round().byte())
        if number % 100 == 0:
            print(f"{number} pairs", flush=True)
    return torch.cat(seen), torch.cat(taught)


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Return L1 of the inside of images, and of the differences between neighbours there."""
    inner = slice(4 * _BORDER_PX, -4 * _BORDER_PX)
    error = (found - wanted)[:, :, inner, inner]
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + 0.5 * (across + down)


def train(
    student: CompactUpscaler, seen: Tensor, taught: Tensor, *, steps: int, batch: int, seed: int
) -> CompactUpscaler:
    """Train ``student`` and return the moving average of its weights."""
    student.train().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    average = copy.deepcopy(student)
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(student.parameters(), lr=_LEARNING_RATE, weight_decay=0.0)
    for step in range(1, steps + 1):
        rate = _LEARNING_RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-6
        optimizer.param_groups[0]["lr"] = rate
        chosen = torch.randint(len(seen), (batch,), generator=rng)
        image = (seen[chosen].float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = student(image)
        loss = distance(found.float(), taught[chosen].float() / 255)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for kept, now in zip(average.parameters(), student.parameters(), strict=True):
                kept.lerp_(now, max(_EMA_STEP, 1 / step))
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return average.eval()


def save(network: CompactUpscaler, target: Path, *, recipe: str, steps: int) -> None:
    """Write the weights in half precision; the file appears whole or not at all."""
    metadata = {
        "format_version": FORMAT_VERSION,
        "model": "compact",
        "licence": "BSD-3-Clause, Xintao Wang; trained on by vidrestore; see NOTICE",
        "recipe": recipe,
        "steps": str(steps),
    }
    part = target.with_name(target.name + ".part")
    state = {
        key: value.to(torch.float16).contiguous() for key, value in network.state_dict().items()
    }
    save_file(state, part, metadata)
    part.chmod(0o644)  # it is written for its owner alone, and goes into a package for all
    part.replace(target)


def main() -> int:
    """Parse the command line, make pairs, train, and write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("start", type=Path, help="weights to begin with")
    parser.add_argument("pictures", type=Path, nargs="+", help="folders of JPEG and PNG files")
    parser.add_argument("--target", type=Path, default=DATA / UPSCALERS["compact"].packaged_file)
    parser.add_argument("--pairs", type=int, default=800, metavar="N")
    parser.add_argument("--steps", type=int, default=1000, metavar="N")
    parser.add_argument("--batch", type=int, default=6, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--keep-pairs", type=Path, metavar="FILE", help="written, or read if there")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files = sorted(
        path
        for folder in arguments.pictures
        for path in folder.rglob("*")
        if path.suffix.lower() in (".jpg", ".png")
    )
    if not files:
        parser.error("there are no images in these folders")
    try:
        student = CompactUpscaler()
        load_weights(student, arguments.start)
        kept: Path | None = arguments.keep_pairs
        if kept is not None and kept.is_file():
            seen, taught = torch.load(kept, weights_only=True)
        else:
            teacher = RRDBNet()
            load_weights(teacher, DATA / UPSCALERS["realesrgan"].packaged_file)
            teacher = teacher.eval().to(torch.bfloat16)
            teacher.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            seen, taught = pairs(teacher, cuts(files, arguments.pairs, seed=arguments.seed))
            if kept is not None:
                torch.save((seen, taught), kept)
        trained = train(
            student,
            seen,
            taught,
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
