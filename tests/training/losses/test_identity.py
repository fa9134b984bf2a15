"""The identity loss: what networks are shown, how embeddings are compared, who is taught."""

from pathlib import Path

import pytest
import torch
from support.faces import example_images
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.affine import apply_affine, fit_similarity, invert_affine
from vidrestore.errors import WeightsError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.metrics.identity import embeddings
from vidrestore.models.recognizers.arcface import ArcFaceResNet
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.training.losses.identity import (
    ArcFaceIdentity,
    MobileFaceNetIdentity,
    arcface_input,
    identity_loss,
    load_identity_network,
    recognition_crop,
)


def face(size: int) -> Tensor:
    """Return a photograph, in [-1, 1]."""
    picture = torch.from_numpy(example_images(1)[0]).permute(2, 0, 1)[None].float() / 127.5 - 1
    side = min(picture.shape[2:])
    square = picture[:, :, :side, :side]
    return F.interpolate(square, (size, size), mode="bilinear", antialias=True)


def metric_input(size: int) -> Tensor:
    """Return what the metric shows its network, in [0, 1]."""
    inputs: list[Tensor] = []

    class Spy(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            inputs.append(image)
            return image.mean(dim=(2, 3))

    points = (TEMPLATE_LANDMARKS_XY + 0.5) * size / 512 - 0.5
    embeddings(Spy(), (face(size) + 1) / 2, points)
    return (inputs[0] * 128 + 127.5) / 255


@pytest.mark.parametrize("size", [128, 256, 512])
def test_the_crop_equals_the_one_of_the_identity_metric(size: int) -> None:
    result = (recognition_crop(face(size)) + 1) / 2
    assert tuple(result.shape) == (1, 3, 112, 96)
    # Not identical: the metric shrinks with another filter.
    assert float((result - metric_input(size)).abs().mean()) < 0.008


@pytest.mark.parametrize("size", [64, 128, 512, 1024])
def test_samples_follow_the_alignment_at_any_resolution(size: int) -> None:
    index = (torch.arange(size) + 0.5) * 512 / size - 0.5
    plane = torch.stack([index.expand(size, size), index[:, None].expand(size, size)])[None]
    result = recognition_crop(plane.double())[0]
    # The five points of the crop, as recognition networks expect them.
    face_xy = [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366]]
    face_xy += [[33.5493, 92.3655], [62.7299, 92.2041]]
    to_image = invert_affine(fit_similarity(TEMPLATE_LANDMARKS_XY, face_xy))
    for x, y in ((30, 52), (66, 52), (48, 72), (34, 92), (63, 92)):
        (expected,) = apply_affine(to_image, [[x, y]])
        value = result[:, y, x].numpy()
        # The bicubic kernel bends ramps by up to a twentieth of a sample.
        assert abs(value - expected).max() < 0.055 * max(3.6, 512 / size)


def test_arcface_gets_gray_as_in_the_released_code() -> None:
    image = face(256).requires_grad_()
    gray = 0.2989 * image[:, 0] + 0.5870 * image[:, 1] + 0.1140 * image[:, 2]
    expected = F.interpolate(gray[:, None], (128, 128), mode="bilinear", align_corners=False)
    torch.testing.assert_close(arcface_input(image), expected)


def test_gradients_of_arcface_reach_a_quarter_of_the_pixels_at_512() -> None:
    image = face(512).requires_grad_()
    arcface_input(image).sum().backward()
    assert image.grad is not None
    assert float((image.grad != 0).float().mean()) == 0.25


def test_mobilefacenet_gets_the_range_that_it_was_trained_on() -> None:
    network, inputs = MobileFaceNet(), list[Tensor]()
    network.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    MobileFaceNetIdentity(network)(torch.ones(1, 3, 128, 128))
    torch.testing.assert_close(inputs[0], torch.full((1, 3, 112, 96), (255 - 127.5) / 128))


def small_network(image_NCHW: Tensor) -> Tensor:
    """Return four numbers of an image."""
    return image_NCHW.flatten(1)[:, :4] * 3 + 1


def test_distances_are_of_raw_embeddings_or_of_angles() -> None:
    restored, target = torch.rand(3, 3, 4, 4).double(), torch.rand(3, 3, 4, 4).double()
    first, other = small_network(restored), small_network(target)
    result = identity_loss(small_network, restored, target, weight=10)
    torch.testing.assert_close(result, 10 * (first - other).abs().mean())
    angles = (first * other).sum(dim=1) / (first.norm(dim=1) * other.norm(dim=1))
    result = identity_loss(small_network, restored, target, distance="cosine")
    torch.testing.assert_close(result, (1 - angles).mean())


def test_the_loss_of_the_same_face_is_zero() -> None:
    network, image = MobileFaceNetIdentity(MobileFaceNet()), face(128)
    assert float(identity_loss(network, image, image)) == 0
    assert abs(float(identity_loss(network, image, image, distance="cosine"))) < 1e-6


def test_the_network_does_not_run_for_weight_zero() -> None:
    def forbidden(_: Tensor) -> Tensor:
        raise AssertionError("computed for nothing")

    assert float(identity_loss(forbidden, face(64), face(64), weight=0)) == 0


def networks() -> list[nn.Module]:
    torch.manual_seed(0)
    return [
        MobileFaceNetIdentity(MobileFaceNet()),
        ArcFaceIdentity(ArcFaceResNet(layers=(1, 1, 1, 1))),
    ]


@pytest.mark.parametrize("network", networks(), ids=["mobilefacenet", "arcface"])
def test_only_the_restored_face_gets_a_gradient(network: MobileFaceNetIdentity) -> None:
    nn.Sequential(network).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    restored, target = face(128).requires_grad_(), (face(128) * 0.5).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = identity_loss(network, restored, target)
    assert loss.dtype is torch.float32
    loss.backward()
    assert restored.grad is not None
    assert bool(torch.isfinite(restored.grad).all())
    assert float(restored.grad.abs().sum()) > 0
    assert target.grad is None
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_gradients_of_crops_equal_finite_differences() -> None:
    # Of all 112 x 96 samples a few: their sum over blocks.
    def blocks(image: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(recognition_crop(image), (3, 3))

    assert torch.autograd.gradcheck(blocks, torch.rand(1, 1, 12, 12).double().requires_grad_())


def test_faces_that_are_not_aligned_squares_are_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        recognition_crop(torch.rand(1, 3, 64, 48))


def test_checkpoints_are_recognized_by_their_tensors(tmp_path: Path) -> None:
    small, large = MobileFaceNet(), ArcFaceResNet(layers=(1, 2, 1, 1), use_se=True)
    torch.save({"net_state_dict": small.state_dict()}, tmp_path / "small.ckpt")
    wrapped = {f"module.{key}": value for key, value in large.state_dict().items()}
    torch.save(wrapped, tmp_path / "large.pth")
    result = (
        load_identity_network(tmp_path / "small.ckpt"),
        load_identity_network(tmp_path / "large.pth"),
    )
    assert isinstance(result[0], MobileFaceNetIdentity)
    assert isinstance(result[1], ArcFaceIdentity)
    torch.testing.assert_close(result[0].network.state_dict(), small.state_dict())
    torch.testing.assert_close(result[1].network.state_dict(), large.state_dict())


def test_other_files_are_refused_with_their_name(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no checkpoint")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, message in (
        ("other", "neither"),
        ("text", "not a checkpoint"),
        ("list", "holds a list"),
    ):
        with pytest.raises(WeightsError, match=f"{name}.pth: .*{message}"):
            load_identity_network(tmp_path / f"{name}.pth")
    with pytest.raises(WeightsError, match="no such file"):
        load_identity_network(tmp_path / "missing.pth")
