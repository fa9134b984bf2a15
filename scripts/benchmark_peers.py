"""The published GFPGAN and Real-ESRGAN code beside ours, in turns in one run: time and memory.

    pip install setuptools wheel cython
    pip install --target peers --no-deps --no-build-isolation basicsr==1.4.2 gfpgan==1.3.8 \
        realesrgan==0.3.0 lmdb addict future pyyaml requests urllib3 idna certifi \
        charset-normalizer tqdm
    python scripts/benchmark_peers.py --peers peers

Weights are filled by a rule on both sides: time does not depend on them. Each contender runs in its
own process, which says its processor time, clock and peak memory. The published code restores one
face after another; ours, batches. Of a film the published networks alone are timed, on frames that
are in memory: RetinaFace on the frame, then GFPGAN and the parser on its face. Ours is the whole
program, with decoding, safeguard, pasting and encoding.

The packages are no dependency of this program, and nothing of them is in it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import Tensor, nn

Run = Callable[[], object]
FRAME_HW = (720, 1280)
FILM_FRAMES = 24
COMPARISONS: dict[str, tuple[str, ...]] = {
    "one face": ("published gfpgan 1", "ours gfpgan fp32 1", "ours gfpgan auto 1", "ours lite 1"),
    "eight faces": (
        "published gfpgan 8",
        "ours gfpgan fp32 8",
        "ours gfpgan auto 8",
        "ours lite 8",
    ),
    "a frame of 720p, one face": ("published film", "ours film"),
    "128 px enlarged 4 times by RRDB": ("published rrdb", "ours rrdb"),
    "128 px enlarged 4 times by the compact network": ("published compact", "ours compact"),
}
"""What is compared -> contenders, the published one first."""


def contender(name: str, folder: Path) -> tuple[Run, int]:
    """Return what a contender runs, and how many faces, frames or images one run holds."""
    side, what, *rest = name.split()
    if what == "film":
        return (_published_film(), 1) if side == "published" else (_our_film(folder), FILM_FRAMES)
    if what in ("rrdb", "compact"):
        return (_published_upscaler if side == "published" else _our_upscaler)(what), 1
    count = int(rest[-1])
    if side == "published":
        return _published_faces(count), count
    precision = rest[0] if len(rest) == 2 else "auto"
    return _our_faces("lite" if what == "lite" else "gfpgan-1.4", precision, count), count


def _published(module: str) -> Any:
    """Import a module of the published code."""
    # basicsr 1.4.2 imports a module that torchvision has renamed since.
    renamed = import_module("torchvision.transforms.functional")
    sys.modules["torchvision.transforms.functional_tensor"] = renamed
    return import_module(module)


def _published_gfpgan() -> nn.Module:
    published = _published("gfpgan.archs.gfpganv1_clean_arch")
    network: nn.Module = published.GFPGANv1Clean(  # as ``GFPGANer`` builds version 1.4
        out_size=512,
        num_style_feat=512,
        channel_multiplier=2,
        decoder_load_path=None,
        fix_decoder=False,
        num_mlp=8,
        input_is_latent=True,
        different_w=True,
        narrow=1,
        sft_half=True,
    )
    return network.eval()


def _published_faces(count: int) -> Run:
    network, face = _published_gfpgan(), torch.rand(1, 3, 512, 512) * 2 - 1

    @torch.no_grad()
    def run() -> None:
        for _ in range(count):
            network(face, return_rgb=False, weight=0.5)

    return run


def _published_film() -> Run:
    detection = _published("facexlib.detection.retinaface")
    parsing = _published("facexlib.parsing.parsenet")
    restore = _published_faces(1)
    detector: nn.Module = detection.RetinaFace(network_name="resnet50", half=False).eval()
    parser: nn.Module = parsing.ParseNet(in_size=512, out_size=512, parsing_ch=19).eval()
    frame, face = torch.rand(1, 3, *FRAME_HW) * 255 - 110, torch.rand(1, 3, 512, 512)

    @torch.no_grad()
    def run() -> None:
        detector(frame)
        restore()
        parser(face)

    return run


def _our_faces(model: str, precision: str, count: int) -> Run:
    from benchmark_networks import load_or_fill

    from vidrestore.devices import resolve_precision
    from vidrestore.malloc_tuning import keep_freed_memory

    keep_freed_memory()  # as the command does
    cpu = torch.device("cpu")
    restorer = load_or_fill(model, cpu, resolve_precision(precision, cpu))
    crops = torch.rand(count, 3, 512, 512)
    return lambda: restorer.restore_images(crops)


def _our_film(folder: Path) -> Run:
    from benchmark import film

    from vidrestore import RestoreSettings, restore_video
    from vidrestore.malloc_tuning import keep_freed_memory

    keep_freed_memory()
    source = folder / "film.mp4"
    film(source, hw=FRAME_HW, frames=FILM_FRAMES, rate=Fraction(25))
    settings = RestoreSettings(overwrite=True)
    return lambda: restore_video(source, folder / "out.mp4", settings=settings)


def _published_upscaler(kind: str) -> Run:
    if kind == "rrdb":
        published = _published("basicsr.archs.rrdbnet_arch")
        network: nn.Module = published.RRDBNet(num_in_ch=3, num_out_ch=3, num_block=23, scale=4)
    else:
        published = _published("realesrgan.archs.srvgg_arch")
        network = published.SRVGGNetCompact(num_feat=64, num_conv=16, upscale=4)
    return _upscaling(network.eval())


def _our_upscaler(kind: str) -> Run:
    from vidrestore.models.upscalers.compact import CompactUpscaler
    from vidrestore.models.upscalers.rrdbnet import RRDBNet

    if kind == "rrdb":
        network: nn.Module = RRDBNet()
    else:
        network = CompactUpscaler(features=64, convolutions=16, scale=4)
    return _upscaling(network.eval().to(memory_format=torch.channels_last))  # pyright: ignore


def _upscaling(network: nn.Module) -> Run:
    image: Tensor = torch.rand(1, 3, 128, 128)

    @torch.no_grad()
    def run() -> None:
        network(image)

    return run


def serve(name: str, peers: Path) -> None:
    """Run a contender each time that a line comes; print what a run took."""
    sys.path.append(str(peers))
    with tempfile.TemporaryDirectory() as folder:
        run, count = contender(name, Path(folder))
        run()
        print("ready", flush=True)
        for _ in sys.stdin:
            started = time.process_time(), time.perf_counter()
            run()
            spent, seconds = time.process_time() - started[0], time.perf_counter() - started[1]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps([spent / count, seconds / count, peak]), flush=True)


def compared(names: Sequence[str], peers: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Run contenders in turns; return their medians, and ratios to the first one."""
    children = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--serve", name, "--peers", str(peers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    }
    taken: dict[str, list[list[float]]] = {name: [] for name in names}
    for name, child in children.items():
        if not _answer(child).startswith("ready"):
            raise SystemExit(f"{name} did not start")
    for _ in range(rounds):
        for name, child in children.items():
            if child.stdin is not None:
                child.stdin.write("\n")
                child.stdin.flush()
            taken[name].append(json.loads(_answer(child)))
    for child in children.values():
        child.communicate()
    results: dict[str, dict[str, float]] = {}
    for name, rows in taken.items():
        cpu, seconds, peak = (float(value) for value in np.median(np.array(rows), axis=0))
        results[name] = {"cpu_seconds": cpu, "seconds": seconds, "peak_mib": peak}
    first = results[names[0]]
    for result in results.values():
        result["times_less_cpu"] = first["cpu_seconds"] / result["cpu_seconds"]
    return results


def _answer(child: "subprocess.Popen[str]") -> str:
    return child.stdout.readline() if child.stdout is not None else ""


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path("peers"), help="their folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(COMPARISONS), default=list(COMPARISONS))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.peers)
        return
    results: dict[str, Any] = {"cores": os.cpu_count(), "torch": torch.__version__}
    for title in arguments.only:
        results[title] = compared(COMPARISONS[title], arguments.peers, arguments.rounds)
        print(f"{title:<44}{'cpu s':>8}{'s':>8}{'MiB':>8}{'ratio':>8}")
        for name, row in results[title].items():
            print(
                f"  {name:<42}{row['cpu_seconds']:>8.3f}{row['seconds']:>8.3f}"
                f"{row['peak_mib']:>8.0f}{row['times_less_cpu']:>8.2f}",
                flush=True,
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
