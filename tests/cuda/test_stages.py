"""Every stage that uses the device gives on a GPU what it gives on a CPU, within stated bounds."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from support.faces import example_images
from support.frames import YUV420, YUV420P10, YUV444, random_frame
from support.noisy_crops import crops
from support.restoring import face_at, restored_face
from torch import Tensor

from vidrestore.faces.align import align_face
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.paste.composite import paste_faces
from vidrestore.paste.settings import MaskShape, PasteConfig
from vidrestore.restore.detail_blending import blend_clip
from vidrestore.restore.motion_average import make_thumbnail
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import denoise_clip
from vidrestore.safeguard.checks import crop_luma
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.types import DisplayGeometry, Frame, PixelFormat, RestoredFace
from vidrestore.warp import average_areas, warp_image

pytestmark = pytest.mark.cuda
CPU = torch.device("cpu")
HW = (150, 202)


def mapping(scale: float, angle: float = 0.2) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, 21.2], [sin, cos, -9.7]])


def mean_difference(result: Tensor, expected: Tensor) -> float:
    return float((result.float().cpu() - expected.float().cpu()).abs().mean())


@pytest.mark.parametrize("sharp", [False, True])
@pytest.mark.parametrize("scale", [2.3, 1.0, 0.95, 0.7, 0.3])
def test_gpu_and_cpu_warp_an_image_alike(cuda: torch.device, scale: float, sharp: bool) -> None:
    image = crops()[0]
    expected = warp_image(image, mapping(scale), (200, 180), sharp=sharp)
    result = warp_image(image.to(cuda), mapping(scale), (200, 180), sharp=sharp)
    assert result.device == cuda
    assert mean_difference(result, expected) < 0.001


@pytest.mark.parametrize("target_hw", [(256, 256), (128, 128), (370, 365), (31, 77), (1, 1)])
def test_gpu_and_cpu_average_areas_alike(cuda: torch.device, target_hw: tuple[int, int]) -> None:
    image = crops()[0]
    result = average_areas(image.to(cuda), target_hw).cpu()
    torch.testing.assert_close(result, average_areas(image, target_hw), atol=5e-4, rtol=0)


@pytest.mark.parametrize(
    "pixel_format", [YUV420, YUV444, YUV420P10], ids=lambda pixel_format: pixel_format.name
)
def test_gpu_and_cpu_align_a_face_alike(cuda: torch.device, pixel_format: PixelFormat) -> None:
    frame, geometry = random_frame(pixel_format, HW), DisplayGeometry(coded_hw=HW)
    face = face_at((90, 70), size_px=110, angle=0.3)
    expected = align_face(frame, geometry, face, device=CPU)
    result = align_face(frame, geometry, face, device=cuda)
    assert expected is not None
    assert result is not None
    assert mean_difference(result.crop_chw, expected.crop_chw) < 0.002


def test_gpu_and_cpu_make_the_same_thumbnail(cuda: torch.device) -> None:
    expected, result = make_thumbnail(crops()[0]), make_thumbnail(crops()[0].to(cuda))
    np.testing.assert_allclose(result.rgb_hwc, expected.rgb_hwc, atol=5e-4)


def test_gpu_and_cpu_read_the_same_luma(cuda: torch.device) -> None:
    expected, result = crop_luma(crops()[0]), crop_luma(crops()[0].to(cuda))
    np.testing.assert_allclose(result, expected, atol=0.01)


def test_gpu_and_cpu_denoise_a_clip_alike(cuda: torch.device) -> None:
    config = TemporalConfig()
    expected = list(denoise_clip(crops(), config=config))
    results = list(denoise_clip([crop.to(cuda) for crop in crops()], config=config))
    for result, other in zip(results, expected, strict=True):
        assert mean_difference(result, other) < 0.001


def test_gpu_and_cpu_blend_detail_alike(cuda: torch.device) -> None:
    config = TemporalConfig()
    pairs = [(crop, (crop * 1.1).clamp(0, 1)) for crop in crops()]
    expected = list(blend_clip(pairs, config=config))
    on_gpu = [(first.to(cuda), other.to(cuda)) for first, other in pairs]
    for result, other in zip(blend_clip(on_gpu, config=config), expected, strict=True):
        assert mean_difference(result, other) < 0.001


def paste_face(frame: Frame, face: RestoredFace, shape: MaskShape) -> Frame:
    geometry = DisplayGeometry(coded_hw=HW)
    config = PasteConfig(mask=shape)
    return paste_faces(frame, geometry, (face,), config=config, keep_chroma=False).frame


def on_device(face: RestoredFace, device: torch.device) -> RestoredFace:
    aligned = replace(face.aligned, crop_chw=face.aligned.crop_chw.to(device))
    return replace(face, aligned=aligned, restored_chw=face.restored_chw.to(device))


@pytest.mark.parametrize("shape", ["face", "head"])
@pytest.mark.parametrize(
    "pixel_format", [YUV420, YUV420P10], ids=lambda pixel_format: pixel_format.name
)
def test_gpu_and_cpu_paste_a_face_alike(
    cuda: torch.device, pixel_format: PixelFormat, shape: str
) -> None:
    frame = random_frame(pixel_format, HW)
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((90, 70), size_px=110, angle=0.3), gain=0.2)
    mask = cast(MaskShape, shape)
    expected, result = paste_face(frame, face, mask), paste_face(frame, on_device(face, cuda), mask)
    for before, first, other in zip(frame.planes, expected.planes, result.planes, strict=True):
        level = (frame.pixel_format.max_value + 1) / 256
        assert float(np.abs(first.astype(float) - other).mean()) < 0.1 * level
        assert bool((other != before).any())


@pytest.fixture(scope="module")
def detectors() -> tuple[MtcnnDetector, MtcnnDetector]:
    if not torch.cuda.is_available():  # the fixture ``cuda`` says whether that is an error
        return (MtcnnDetector(packaged_mtcnn()),) * 2
    return MtcnnDetector(packaged_mtcnn()), MtcnnDetector(packaged_mtcnn(), device="cuda")


def test_gpu_and_cpu_detect_the_same_faces(
    cuda: torch.device, detectors: tuple[MtcnnDetector, MtcnnDetector]
) -> None:
    for expected, actual in zip(
        *(detector.detect(example_images(3)) for detector in detectors), strict=True
    ):
        for first, other in zip(expected, actual, strict=True):
            np.testing.assert_allclose(other.landmarks_xy, first.landmarks_xy, atol=1.0)


def test_gpu_and_cpu_track_faces_alike(
    cuda: torch.device, detectors: tuple[MtcnnDetector, MtcnnDetector]
) -> None:
    image = example_images(1)[0]
    ((face, *_),) = detectors[0].detect([image])
    (expected,), (detections,) = (detector.refine(image, [face]) for detector in detectors)
    assert expected is not None
    assert detections is not None
    np.testing.assert_allclose(detections.landmarks_xy, expected.landmarks_xy, atol=0.2)


def test_gpu_and_cpu_measure_the_same_identity(cuda: torch.device) -> None:
    before, after = crops()[0], crops()[1].flip(2)
    distances = [
        IdentityMeter(packaged_dlib_resnet(), device=device).distance(
            before.to(device), after.to(device), resolution_px=160.0
        )
        for device in (CPU, cuda)
    ]
    assert distances[0] == pytest.approx(distances[1], abs=0.005)
