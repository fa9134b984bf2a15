"""The stages of ``--gpu-stages`` on a GPU: as on a CPU, without a wait, and the same every time."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from support.devicestages import (
    DEVICE_FORMATS,
    fields_of,
    geometry_of,
    levels_apart,
    mean_levels_apart,
    names,
    tagged,
)
from support.frames import YUV420, YUV420P10, random_frame
from support.noisy_crops import crops
from support.restoring import face_at, restored_face
from support.syncs import no_waits
from torch import Tensor, nn

from vidrestore import RestoreSettings, restore_video
from vidrestore.devices import prepare_device
from vidrestore.faces.align import crop_region
from vidrestore.media.color.code_points import HLG, PQ
from vidrestore.media.input.source import open_source
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.optical_flow import dense_flow
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.loading.load_models import load_restorer
from vidrestore.pipeline.on_device.align import CropRequest, cut_crops
from vidrestore.pipeline.on_device.average import make_thumbnails
from vidrestore.pipeline.on_device.average_frames import AverageJob, CropView, averages
from vidrestore.pipeline.on_device.images.filters import gaussian_blur, medians
from vidrestore.pipeline.on_device.images.planes import upload_planes
from vidrestore.pipeline.on_device.paste_frames import FrameToPaste, StartedPaste
from vidrestore.pipeline.on_device.transfers import Download, Uploader, upload, upload_images
from vidrestore.restore.recorded_network import RecordedNetwork
from vidrestore.restore.settings import TemporalConfig
from vidrestore.settings import MaskShape
from vidrestore.types import ColorTags, Frame, PixelFormat, RestoredFace

pytestmark = pytest.mark.cuda
CPU = torch.device("cpu")
EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.mp4"
FACES = (face_at((60, 70), size_px=110, angle=0.3), face_at((140, 90), size_px=620, track_id=2))
by_format = pytest.mark.parametrize("pixel_format", DEVICE_FORMATS, ids=names(DEVICE_FORMATS))


def requests(frames: list[Frame], device: torch.device) -> list[CropRequest]:
    found: list[CropRequest] = []
    for frame, planes in zip(frames, upload_planes(frames, Uploader(device)), strict=True):
        for face in FACES:
            source = crop_region(frame, geometry_of(frame), face)
            assert source is not None
            found.append(CropRequest(frame, planes, source, 512))
    return found


def cut(frames: list[Frame], device: torch.device) -> list[Tensor]:
    crops = cut_crops(requests(frames, device), batch_size=4, device=device)
    return [crop.crop_chw for crop in crops]


def restored(frame: Frame) -> tuple[RestoredFace, ...]:
    return tuple(restored_face(frame, geometry_of(frame), face, gain=0.5) for face in FACES)


def items(frames: list[Frame], device: torch.device) -> list[FrameToPaste]:
    uploaded = upload_planes(frames, Uploader(device))
    result: list[FrameToPaste] = []
    for frame, planes in zip(frames, uploaded, strict=True):
        faces = restored(frame)
        images = [image for face in faces for image in (face.aligned.crop_chw, face.restored_chw)]
        moved = iter(upload_images(images, device))
        result.append(
            FrameToPaste(
                frame=frame,
                geometry=geometry_of(frame),
                planes=planes,
                faces=faces,
                crops=tuple((next(moved), next(moved)) for _ in faces),
                keep_chroma=False,
            )
        )
    return result


def paste(frames: list[Frame], device: torch.device, mask: MaskShape = "head") -> list[Frame]:
    config = PasteConfig(mask=mask)
    started = StartedPaste(items(frames, device), config=config, batch_size=4, device=device)
    return [pasted.frame for pasted in started.wait()]


@by_format
def test_planes_come_back_as_they_were_uploaded(
    cuda: torch.device, pixel_format: PixelFormat
) -> None:
    frame = tagged(pixel_format, full_range=True)
    (planes,) = upload_planes([frame], Uploader(cuda))
    for plane, back in zip(frame.planes, Download(planes.planes).wait(), strict=False):
        np.testing.assert_array_equal(back.numpy().view(plane.dtype), plane)


def test_small_arrays_are_uploaded(cuda: torch.device) -> None:
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(upload(numbers, cuda).cpu().numpy(), numbers)


@pytest.mark.parametrize("full_range", [False, True])
@by_format
def test_gpu_and_cpu_cut_a_batch_alike(
    cuda: torch.device, pixel_format: PixelFormat, full_range: bool
) -> None:
    frames = [tagged(pixel_format, full_range=full_range, index=index) for index in range(2)]
    for result, expected in zip(cut(frames, cuda), cut(frames, CPU), strict=True):
        assert float((result.cpu() - expected).abs().max()) < 0.5 / 255


@pytest.mark.parametrize("mask", ["face", "head"])
@by_format
def test_gpu_and_cpu_paste_a_batch_alike(
    cuda: torch.device, pixel_format: PixelFormat, mask: MaskShape
) -> None:
    frames = [tagged(pixel_format, full_range=False, index=index) for index in range(2)]
    for result, expected in zip(paste(frames, cuda, mask), paste(frames, CPU, mask), strict=True):
        assert levels_apart(result, expected) < 2
        assert mean_levels_apart(result, expected) < 0.1


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_gpu_and_cpu_paste_hdr_alike(cuda: torch.device, transfer: int) -> None:
    color = ColorTags(matrix=9, primaries=9, transfer=transfer, range_known=True)
    frames = [random_frame(YUV420P10, (152, 202), color=color, smooth=True)]
    (result,), (expected,) = paste(frames, cuda), paste(frames, CPU)
    assert levels_apart(result, expected) < 2


def test_gpu_and_cpu_paste_fields_alike(cuda: torch.device) -> None:
    fields = list(fields_of(tagged(YUV420, full_range=False)))
    for result, expected in zip(paste(fields, cuda), paste(fields, CPU), strict=True):
        assert levels_apart(result, expected) < 2


def test_gpu_and_cpu_blur_and_find_medians_alike(cuda: torch.device) -> None:
    image = crops()[0][None]
    torch.testing.assert_close(
        gaussian_blur(image.to(cuda), 2.5).cpu(), gaussian_blur(image, 2.5), atol=1e-5, rtol=0
    )
    values, valid = image[0].flatten(1), image[0].flatten(1) > 0.3
    results = medians(values.to(cuda), valid.to(cuda))
    for result, expected in zip(results, medians(values, valid), strict=True):
        torch.testing.assert_close(result.cpu(), expected)


def test_a_batch_is_cut_without_a_wait(cuda: torch.device) -> None:
    frames = [tagged(YUV420, full_range=False, index=index) for index in range(2)]
    cut(frames, cuda)  # fills caches
    asked = requests(frames, cuda)
    with no_waits():
        cut_crops(asked, batch_size=4, device=cuda)


@pytest.mark.parametrize("mask", ["face", "head"])
def test_a_batch_is_pasted_without_a_wait(cuda: torch.device, mask: MaskShape) -> None:
    frames = [tagged(YUV420, full_range=False, index=index) for index in range(2)]
    paste(frames, cuda, mask)  # fills caches
    given, config = items(frames, cuda), PasteConfig(mask=mask)
    with no_waits():
        started = StartedPaste(given, config=config, batch_size=4, device=cuda)
    assert len(started.wait()) == len(frames)


def average_jobs(device: torch.device) -> list[AverageJob]:
    """Return every crop of a clip with the other ones as its neighbors."""
    images = torch.stack([*crops()])
    thumbnails, grays = make_thumbnails(images)
    views = [
        CropView(image.to(device), thumbnail.to(device), gray.numpy())
        for image, thumbnail, gray in zip(images, thumbnails, grays, strict=True)
    ]
    jobs: list[AverageJob] = []
    for index, view in enumerate(views):
        others = [
            (other, abs(number - index) == 1, dense_flow(view.gray_hw, other.gray_hw, quick=True))
            for number, other in enumerate(views)
            if number != index
        ]
        jobs.append(AverageJob((index, 1), view, others, index % 2 == 0))
    return jobs


def averaged(device: torch.device, jobs: list[AverageJob]) -> list[Tensor]:
    return averages(jobs, config=TemporalConfig(), batch_size=4, device=device)


def test_gpu_and_cpu_average_a_batch_alike(cuda: torch.device) -> None:
    pairs = zip(averaged(cuda, average_jobs(cuda)), averaged(CPU, average_jobs(CPU)), strict=True)
    for result, expected in pairs:
        assert float((result.cpu() - expected).abs().mean()) < 0.05 / 255


def test_a_batch_is_averaged_without_a_wait(cuda: torch.device) -> None:
    jobs = average_jobs(cuda)
    with no_waits():
        averaged(cuda, jobs)


def test_a_result_on_a_gpu_does_not_depend_on_its_batch(cuda: torch.device) -> None:
    frames = [tagged(YUV420, full_range=False, index=index) for index in range(3)]
    together = paste(frames, cuda)
    for frame, result in zip(frames, together, strict=True):
        (alone,) = paste([frame], cuda)
        assert levels_apart(alone, result) == 0
    for one, other in zip(cut(frames, cuda), cut(frames, cuda), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_recorded_network_gives_the_crops_of_one_run_step_by_step(
    cuda: torch.device, dtype: torch.dtype
) -> None:
    prepare_device(cuda)
    plain, recorded = (load_restorer("lite", device=cuda, dtype=dtype) for _ in range(2))
    recorded.record_networks()
    for shift in (0, 1):
        batch = torch.stack([*crops()]).roll(shift, dims=0).to(cuda)
        result, expected = (item.restore_images(batch) for item in (recorded, plain))
        torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)
    assert recorded.recording_failure is None


class Reading(nn.Module):
    """Reads a value of the device, which cannot be recorded."""

    def forward(self, image: Tensor) -> RestorerOutput:
        return RestorerOutput(image=image * float(image.mean()))


def test_a_network_that_cannot_be_recorded_runs_step_by_step(cuda: torch.device) -> None:
    network, image = RecordedNetwork(Reading()), torch.rand(2, 3, 8, 8, device=cuda)
    for _ in range(2):
        torch.testing.assert_close(network(image).image, image * image.mean())
    assert network.failure


def restore_example(folder: Path, name: str, **settings: object) -> Path:
    target = folder / f"{name}.mkv"
    chosen = {"end_seconds": Fraction(4, 5), "codec": "ffv1", "device": "cuda", **settings}
    report = restore_video(EXAMPLE, target, settings=RestoreSettings(**chosen))  # type: ignore[arg-type]
    assert report.faces > 10
    assert not any("step by step" in note for note in report.notes)
    return target


def luma(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.stack([np.asarray(frame.planes[0], dtype=np.float32) for frame in source])


def test_a_film_is_restored_as_without(cuda: torch.device, tmp_path: Path) -> None:
    on, off = (
        luma(restore_example(tmp_path, str(on), gpu_stages=on, precision="fp32"))
        for on in (True, False)
    )
    assert float(np.square(on - off).mean()) < 0.1


def test_two_runs_give_the_same_bytes(cuda: torch.device, tmp_path: Path) -> None:
    first, other = (restore_example(tmp_path, name, gpu_stages=True) for name in ("one", "two"))
    assert first.read_bytes() == other.read_bytes()
