"""Between upload and download of a batch, the host never waits for the device.

The device is ``meta``, whose tensors have no values: whoever reads one on the host fails. So the
same code that runs on a GPU is run as it would be there, without one.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from support.devicestages import HW, geometry_of, tagged
from support.frames import GBR, YUV420, YUV420P10
from support.restoring import face_at, restored_face
from support.syncs import WaitCounter, counted

from vidrestore.faces.align import crop_region
from vidrestore.models.recognizers.dlib_resnet import DlibResNet
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.on_device.align import CropRequest, cut_crops
from vidrestore.pipeline.on_device.average_frames import AverageJob, CropView, averages
from vidrestore.pipeline.on_device.images.planes import upload_planes
from vidrestore.pipeline.on_device.paste_frames import FrameToPaste, StartedPaste
from vidrestore.pipeline.on_device.restore import strengthen_batch
from vidrestore.pipeline.on_device.safeguard import FaceToMeasure, StartedChanges
from vidrestore.pipeline.on_device.transfers import Uploader
from vidrestore.restore.edge_gain import EdgeGainConfig
from vidrestore.restore.settings import TemporalConfig
from vidrestore.safeguard.identity import IdentityMeter
from vidrestore.settings import MaskShape
from vidrestore.types import PixelFormat

META = torch.device("meta")
FACES = (face_at((60, 70), size_px=110, angle=0.3), face_at((140, 90), size_px=620, track_id=2))


def cut_and_paste(pixel_format: PixelFormat, mask: MaskShape, frames: int) -> None:
    """Do what a batch of frames goes through on the device."""
    pictures = [tagged(pixel_format, full_range=False, index=index) for index in range(frames)]
    uploaded = upload_planes(pictures, Uploader(META))
    restored = [
        tuple(restored_face(frame, geometry_of(frame), face, gain=0.5) for face in FACES)
        for frame in pictures
    ]
    requests: list[CropRequest] = []
    for frame, planes in zip(pictures, uploaded, strict=True):
        for face in FACES:
            source = crop_region(frame, geometry_of(frame), face)
            assert source is not None
            requests.append(CropRequest(frame, planes, source, 512))
    cut = cut_crops(requests, batch_size=4, device=META)
    crops = iter([crop.crop_chw for crop in cut])
    items = [
        FrameToPaste(
            frame=frame,
            geometry=geometry_of(frame),
            planes=planes,
            faces=faces,
            crops=tuple((crop, crop * 0.5) for crop in (next(crops), next(crops))),
            keep_chroma=False,
        )
        for frame, planes, faces in zip(pictures, uploaded, restored, strict=True)
    ]
    StartedPaste(items, config=PasteConfig(mask=mask), batch_size=4, device=META)


@pytest.mark.parametrize(
    ("pixel_format", "mask"),
    [(YUV420, "head"), (YUV420P10, "face"), (GBR, "head")],
    ids=["yuv420p", "yuv420p10", "gbrp"],
)
def test_a_batch_is_cut_and_pasted_without_a_wait(
    pixel_format: PixelFormat, mask: MaskShape
) -> None:
    cut_and_paste(pixel_format, mask, 1)  # fills caches
    counter = counted(lambda: cut_and_paste(pixel_format, mask, 2))
    assert not counter.waits
    assert counter.operations.total() > 100


def average(frames: int) -> None:
    """Average one face of some frames on the device."""
    gray = np.zeros((128, 128), np.uint8)
    crops, thumbnails = (torch.zeros(3, side, side, device=META) for side in (256, 128))
    view = CropView(crops, thumbnails, gray)
    flow = np.zeros((128, 128, 2), np.float32)
    others = [(view, True, flow)] * 3
    jobs = [AverageJob((index, 1), view, others, True) for index in range(frames)]
    averages(jobs, config=TemporalConfig(), batch_size=4, device=META)


def test_a_batch_is_averaged_without_a_wait() -> None:
    average(1)
    few, many = (counted(partial(average, frames)) for frames in (1, 4))
    assert not few.waits
    assert not many.waits
    assert many.operations["grid_sampler_2d"] == few.operations["grid_sampler_2d"] > 0


def strengthen_and_measure(frames: int) -> None:
    """Strengthen and measure a small and a full crop of some frames on the device."""
    meter = IdentityMeter(DlibResNet(), device=META)
    frame = tagged(YUV420, full_range=False)
    for side_px in (128, 256, 512):
        images = torch.zeros(4, 3, side_px, side_px, device=META)
        restored = restored_face(frame, geometry_of(frame), FACES[1], gain=0.5, side_px=side_px)
        aligned = [restored.aligned] * len(images)
        strong = strengthen_batch(images, aligned, detail=0.5, config=EdgeGainConfig())
        faces = [
            FaceToMeasure(restored, (images[index], strong[index]), index % 2 == 0)
            for index in range(frames)
        ]
        StartedChanges(faces, meter=meter, batch_size=4)


def test_a_batch_is_strengthened_and_measured_without_a_wait() -> None:
    strengthen_and_measure(1)  # fills caches
    few, many = (counted(partial(strengthen_and_measure, frames)) for frames in (3, 4))
    assert not few.waits
    assert not many.waits
    for name in ("bmm", "conv2d", "grid_sampler_2d"):
        assert many.operations[name] == few.operations[name] > 0


def test_the_operations_do_not_grow_with_the_frames_of_a_batch() -> None:
    def on_device(frames: int) -> int:
        counter = counted(lambda: cut_and_paste(YUV420, "head", frames))
        return sum(counter.operations[name] for name in ("grid_sampler_2d", "index", "scatter_"))

    on_device(1)
    assert on_device(2) == on_device(1)


def read(values: torch.Tensor) -> float:
    return float(values.sum())


def choose(values: torch.Tensor) -> torch.Tensor:
    return values[values > 0.5]


@pytest.mark.parametrize("wait", [read, choose, torch.nonzero])
def test_a_wait_is_counted(wait: Callable[[torch.Tensor], object]) -> None:
    values = torch.rand(8)
    with WaitCounter() as counter:
        wait(values)
    assert counter.waits


def test_a_value_of_the_device_cannot_be_read_on_the_host() -> None:
    with pytest.raises((NotImplementedError, RuntimeError)):
        torch.zeros(HW, device=META).cpu()
