"""Edges and the safeguard of ``--gpu-stages`` on a GPU, and films that it decodes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.clips import Clip, make_clip
from support.safeguards import aligned_face, chw, closed_eyes_crop, face_crop, other_crop
from support.syncs import no_waits
from torch import Tensor

from vidrestore.devices import prepare_device
from vidrestore.errors import MediaError
from vidrestore.media.input.source import open_source
from vidrestore.pipeline.on_device.restore import strengthen_batch
from vidrestore.pipeline.on_device.safeguard import FaceToMeasure, StartedChanges
from vidrestore.restore.edge_gain import EdgeGainConfig, strengthen_edges
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.safeguard.stage import measure_change
from vidrestore.types import RestoredFace

pytestmark = pytest.mark.cuda
CONFIG = EdgeGainConfig()
H264 = Clip(ticks=tuple(range(20)))
HEVC = replace(H264, codec="libx265", options={"x265-params": "log-level=none:keyint=8"})


def faces() -> list[RestoredFace]:
    pairs = [(face_crop(), closed_eyes_crop()), (other_crop(), face_crop())]
    return [
        RestoredFace(aligned=aligned_face(source), restored_chw=chw(restored).contiguous())
        for source, restored in pairs
    ]


def to_measure(device: torch.device) -> list[FaceToMeasure]:
    return [
        FaceToMeasure(face, (face.aligned.crop_chw.to(device), face.restored_chw.to(device)), True)
        for face in faces()
    ]


def strengthened(device: torch.device) -> Tensor:
    images = torch.stack([face.restored_chw for face in faces()]).to(device)
    aligned = [face.aligned for face in faces()]
    with no_waits():
        return strengthen_batch(images, aligned, detail=1.0, config=CONFIG)


def test_edges_are_strengthened_as_on_a_cpu_without_a_wait(cuda: torch.device) -> None:
    prepare_device(cuda)
    for face, result in zip(faces(), strengthened(cuda).cpu(), strict=True):
        sigma_px = CONFIG.sigma_px(face.aligned)
        expected = strengthen_edges(face.restored_chw, detail=1.0, sigma_px=sigma_px, config=CONFIG)
        assert float((result - expected).abs().max()) * 255 < 0.1


def test_changes_are_measured_as_on_a_cpu_without_a_wait(cuda: torch.device) -> None:
    prepare_device(cuda)
    on_gpu, on_cpu = (
        IdentityMeter(packaged_dlib_resnet(), device=device)
        for device in (cuda, torch.device("cpu"))
    )
    items = to_measure(cuda)
    first = StartedChanges(items, meter=on_gpu, batch_size=4).wait()  # fills caches
    with no_waits():
        started = StartedChanges(items, meter=on_gpu, batch_size=4)
    results = started.wait()
    assert results == first
    expected = [measure_change(face, on_cpu) for face in faces()]
    np.testing.assert_allclose(results, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "clip",
    [
        H264,
        replace(H264, pixel_format="yuvj420p"),
        replace(H264, field_order="tff"),
        replace(H264, size_hw=(270, 482)),
        HEVC,
        replace(HEVC, pixel_format="yuv420p10le"),
    ],
    ids=["h264", "full range", "interlaced", "cropped", "hevc", "hevc 10 bits"],
)
def test_a_gpu_decodes_the_samples_of_the_processor(
    cuda: torch.device, tmp_path: Path, clip: Clip
) -> None:
    large = clip if clip.size_hw == (270, 482) else replace(clip, size_hw=(272, 480))
    film = make_clip(tmp_path / "film.mkv", large)
    with open_source(film) as source, open_source(film, gpu=cuda.index or 0) as on_gpu:
        assert on_gpu.info == source.info
        for frame, expected in zip(on_gpu, source, strict=True):
            assert frame.timestamp == expected.timestamp
            assert frame.color == expected.color
            assert frame.interlaced == expected.interlaced
            for plane, like in zip(frame.planes, expected.planes, strict=True):
                np.testing.assert_array_equal(plane, like)


def test_what_a_gpu_does_not_decode_alike_is_refused(cuda: torch.device, tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", replace(H264, pixel_format="yuv422p"))
    with (
        pytest.raises(MediaError, match="leave out --hardware-decoding"),
        open_source(film, gpu=cuda.index or 0),
    ):
        pass
