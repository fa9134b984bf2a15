"""The steps of ``gpu_check.py`` for single stages on a GPU: the safeguard, and decoding."""

import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from benchmark import film
from torch.nn import functional as F

from vidrestore.devices import gpu_number, prepare_device, resolve_device
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.media.input.source import open_source
from vidrestore.pipeline.on_device.restore import strengthen_batch
from vidrestore.pipeline.on_device.safeguard import FaceToMeasure, StartedChanges
from vidrestore.restore.edge_gain import EdgeGainConfig, strengthen_edges
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.safeguard.stage import measure_change
from vidrestore.types import CROP_SIZE_PX, AlignedFace, Frame, RestoredFace, TrackedFace

Result = dict[str, Any]
_REPEATS = 5
_MOST_CHANGE_APART = 0.001
_MOST_LEVELS_APART = 0.1


def safeguard(device_name: str, tiny: bool) -> Result:
    """Measure changes and strengthen edges one by one and in batches; compare both."""
    device = resolve_device(device_name)
    prepare_device(device)
    meter = IdentityMeter(packaged_dlib_resnet(), device=device)
    faces = _faces(4 if tiny else 64)
    few = faces[:4]
    items = [
        FaceToMeasure(face, (face.aligned.crop_chw.to(device), face.restored_chw.to(device)), True)
        for face in faces
    ]

    def measured(count: int) -> list[Any]:
        return StartedChanges(items[:count], meter=meter, batch_size=count).wait()

    rates = {"one by one": _faces_per_second(lambda: measure_change(few[0], meter), 1)}
    for count in (1, 4) if tiny else (1, 4, 16, 64):
        rates[f"batches of {count}"] = _faces_per_second(partial(measured, count), count)
    expected: list[Any] = [measure_change(face, meter) for face in few]
    changes = float(np.abs(np.array(measured(len(few))) - np.array(expected)).max())
    config = EdgeGainConfig()
    strong = strengthen_batch(
        torch.stack([item.crops[1] for item in items[: len(few)]]),
        [face.aligned for face in few],
        detail=0.5,
        config=config,
    ).cpu()
    one_by_one = torch.stack([_strengthened(face, config) for face in few])
    levels = 255 * float((strong - one_by_one).abs().max())
    line = ", ".join(f"{key} {rate:.0f} faces/s" for key, rate in rates.items())
    line += f"; changes {changes:.6f} apart, edges {levels:.4f} levels"
    result: Result = {"faces_per_second": rates, "line": line}
    result |= {"changes_apart": changes, "edges_apart": levels}
    is_alike = changes < _MOST_CHANGE_APART and levels < _MOST_LEVELS_APART
    return result if is_alike else {**result, "error": line}


def _strengthened(face: RestoredFace, config: EdgeGainConfig) -> torch.Tensor:
    sigma_px = config.sigma_px(face.aligned)
    return strengthen_edges(face.restored_chw, detail=0.5, sigma_px=sigma_px, config=config)


def _faces(count: int) -> list[RestoredFace]:
    """Return faces of soft noise, of many resolutions, and changed a little."""
    points = np.asarray(TEMPLATE_LANDMARKS_XY, dtype=np.float32)
    box = (120.0, 120.0, 400.0, 450.0)
    track = TrackedFace(
        track_id=1, box_xyxy=box, score=1.0, landmarks_xy=points, raw_landmarks_xy=points
    )
    torch.manual_seed(0)
    faces: list[RestoredFace] = []
    for number in range(count):
        small = torch.rand(2, 3, 48 + 8 * (number % 16), 48 + 8 * (number % 16))
        crop, other = F.interpolate(small, (CROP_SIZE_PX, CROP_SIZE_PX), mode="bicubic").clamp(0, 1)
        aligned = AlignedFace(face=track, display_to_crop=2.0 * np.eye(2, 3), crop_chw=crop)
        faces.append(RestoredFace(aligned=aligned, restored_chw=0.8 * crop + 0.2 * other))
    return faces


def _faces_per_second(run: Callable[[], object], count: int) -> float:
    times: list[float] = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        run()  # the results are on the host, so nothing is left to wait for
        times.append(time.perf_counter() - started)
    return count / float(np.median(times))


def nvdec(device_name: str, tiny: bool) -> Result:
    """Decode 1080p by ``--hardware-decoding`` and on the processor; compare every sample."""
    frames = 12 if tiny else 100
    rates: dict[str, float] = {}
    differing: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / codec for codec in ("h264.mp4", "hevc.mp4")]
        size_hw = (360, 640) if tiny else (1080, 1920)
        film(paths[0], hw=size_hw, frames=frames, rate=Fraction(25))
        _to_hevc(*paths)
        for path in paths:
            decoded: list[list[Frame]] = []
            for way, gpu in (("processor", None), ("gpu", gpu_number(device_name))):
                with open_source(path, gpu=gpu) as source:
                    started = time.perf_counter()
                    decoded.append(list(source))
                rates[f"{path.stem} {way}"] = frames / (time.perf_counter() - started)
            if not all(map(_same_samples, *decoded)):
                differing.append(path.stem)
    line = ", ".join(f"{key} {rate:.0f} frames/s" for key, rate in rates.items())
    line += f"; {' and '.join(differing)} DIFFER" if differing else "; samples equal"
    result: Result = {"frames_per_second": rates, "differing": differing, "line": line}
    return {**result, "error": line} if differing else result


def _to_hevc(source: Path, target: Path) -> None:
    """Encode a film again, with 10 bits."""
    with av.open(str(source)) as film, av.open(str(target), "w") as output:
        options = {"preset": "ultrafast", "x265-params": "log-level=none"}
        stream = output.add_stream("libx265", 25, options=options)
        stream.width, stream.height = film.streams.video[0].width, film.streams.video[0].height
        stream.pix_fmt = "yuv420p10le"
        for frame in film.decode(video=0):
            output.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        output.mux(stream.encode(None))


def _same_samples(first: Frame, other: Frame) -> bool:
    return all(map(np.array_equal, first.planes, other.planes))
