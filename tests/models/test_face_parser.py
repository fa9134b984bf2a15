"""FPN, the face parser."""

from typing import Any

import pytest
import torch
from support.psfrgan import fill_weights, picture, plain_parser, published_error, shapes_of
from torch import Tensor

from vidrestore.models.face_parser import (
    FACE_CLASSES,
    HEAD_CLASSES,
    PARSING_CLASSES,
    FaceParser,
    class_probability,
    face_parser_from_shapes,
)

SMALL: dict[str, Any] = {
    "in_size": 32,
    "out_size": 64,
    "min_feat_size": 16,
    "base_ch": 16,
    "res_depth": 2,
    "ch_range": (8, 32),
}
STEPS = {"down": 1, "body": 2, "up": 2}


def small(**changes: Any) -> FaceParser:
    parser = fill_weights(FaceParser(**{**SMALL, **changes}))
    assert isinstance(parser, FaceParser)
    return parser


def pictures(count: int = 1) -> Tensor:
    return torch.cat([picture(3, 32, seed) for seed in range(count)])


def test_tensors_are_named_as_published() -> None:
    keys = set(shapes_of(small()))
    norm = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    unit = {"conv2d.weight"} | {f"norm.norm.{key}" for key in norm}
    bare = {"conv2d.weight", "conv2d.bias"}
    resizing_blocks = ("encoder.1", "decoder.0", "decoder.1")
    expected = {f"{name}.{key}" for name in ("encoder.0", "out_img_conv") for key in bare}
    expected |= {f"out_mask_conv.{key}" for key in bare}
    expected |= {f"{block}.shortcut_func.{key}" for block in resizing_blocks for key in bare}
    for block in (*resizing_blocks, "body.0", "body.1"):
        expected |= {f"{block}.{conv}.{key}" for conv in ("conv1", "conv2") for key in unit}
    assert keys == expected


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
def test_logits_and_image_equal_those_of_the_plain_architecture(training: bool) -> None:
    parser = small()
    before = {key: tensor.clone() for key, tensor in parser.state_dict().items()}
    logits, image = plain_parser(before, pictures(2), **STEPS, training=training)
    result = parser.train(training)(pictures(2))
    assert result.logits.shape == (2, 19, 64, 64)
    torch.testing.assert_close(result.logits, logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result.image, image, atol=1e-4, rtol=1e-4)


def test_gradients_equal_those_of_the_plain_architecture() -> None:
    parser = small()
    state = {
        key: tensor.detach().clone().requires_grad_("bias" in key or "weight" in key)
        for key, tensor in parser.state_dict().items()
    }
    parser.train()
    result = parser(pictures(2))
    (result.logits.square().mean() + result.image.square().mean()).backward()
    logits, image = plain_parser(state, pictures(2), **STEPS, training=True)
    (logits.square().mean() + image.square().mean()).backward()
    for key, parameter in parser.named_parameters():
        expected = state[key].grad
        assert parameter.grad is not None, key
        assert expected is not None
        assert float(expected.abs().max()) > 0, key
        largest = float(expected.abs().max())
        assert float((parameter.grad - expected).abs().max()) < 1e-3 * largest + 1e-6, key


@torch.no_grad()
def test_normalization_folded_into_weights_uses_the_running_statistics() -> None:
    parser = small()
    parser(pictures())
    parser.train()(pictures(3))
    parser.eval()
    logits, _ = plain_parser(parser.state_dict(), pictures(), **STEPS)
    torch.testing.assert_close(parser(pictures()).logits, logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_face_is_parsed_the_same_alone_and_in_a_batch() -> None:
    parser = small()
    together = parser(pictures(3)).logits
    alone = torch.cat([parser(picture[None]).logits for picture in pictures(3)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_half_precision_stays_close_to_float32() -> None:
    parser = small()
    expected = parser(pictures()).logits
    result = parser.to(torch.bfloat16)(pictures()).logits.float()
    assert float((result - expected).norm() / expected.norm()) < 0.02


@torch.no_grad()
@pytest.mark.parametrize("norm_type", ["bn", "in", "pixel", "none"])
@pytest.mark.parametrize("relu_type", ["relu", "PReLU", "selu", "none"])
def test_other_kinds_of_normalization_and_activation_are_built(
    norm_type: str, relu_type: str
) -> None:
    parser = small(norm_type=norm_type, relu_type=relu_type)
    assert parser(pictures()).logits.isfinite().all()
    has_bias = "body.0.conv1.conv2d.bias" in parser.state_dict()
    assert has_bias is (norm_type != "bn")
    assert ("body.0.conv1.relu.func.weight" in parser.state_dict()) is (relu_type == "PReLU")


def test_unknown_kinds_and_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="norm_type 'layer' is none of"):
        FaceParser(**{**SMALL, "norm_type": "layer"})
    with pytest.raises(ValueError, match="base_ch must be in ch_range 8 to 32, got 64"):
        FaceParser(**{**SMALL, "base_ch": 64})
    with pytest.raises(ValueError, match="48 px must be 16 px times a power"):
        FaceParser(**{**SMALL, "in_size": 48})


def test_sides_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 2 px, got 32 x 33"):
        small()(torch.zeros(1, 3, 32, 33))


@pytest.mark.parametrize(
    "arguments",
    [
        {**SMALL, "in_size": 64, "out_size": 64, "min_feat_size": 32},
        {**SMALL, "in_size": 64, "out_size": 128, "min_feat_size": 32, "parsing_ch": 11},
        {**SMALL, "in_size": 32, "out_size": 32, "min_feat_size": 32, "relu_type": "prelu"},
        {**SMALL, "in_size": 64, "out_size": 64, "min_feat_size": 32}
        | {"norm_type": "gn", "base_ch": 32, "ch_range": (32, 64)},
    ],
)
def test_the_configuration_is_read_from_a_checkpoint(arguments: dict[str, Any]) -> None:
    network = FaceParser(**arguments)
    result = face_parser_from_shapes(shapes_of(network))
    assert result is not None
    same = FaceParser(**result)
    assert shapes_of(same) == shapes_of(network)
    assert same.in_size == network.in_size


def test_tensors_of_other_networks_are_not_mistaken_for_a_parser() -> None:
    shapes = shapes_of(FaceParser(**SMALL))
    assert face_parser_from_shapes({}) is None
    less = {key: shape for key, shape in shapes.items() if key != "out_img_conv.conv2d.bias"}
    assert face_parser_from_shapes(less) is None
    assert face_parser_from_shapes({**shapes, "more.weight": (1,)}) is None
    assert face_parser_from_shapes({**shapes, "body.0.conv1.conv2d.weight": (8, 8, 1, 1)}) is None


def test_a_checkpoint_with_ambiguous_normalization_is_refused() -> None:
    assert face_parser_from_shapes(shapes_of(FaceParser(**{**SMALL, "norm_type": "in"}))) is None


def test_probabilities_of_face_and_background_sum_to_1() -> None:
    logits = torch.randn(2, len(PARSING_CLASSES), 4, 4, generator=torch.Generator().manual_seed(0))
    others = [index for index, name in enumerate(PARSING_CLASSES) if name not in FACE_CLASSES]
    rest = logits.softmax(1)[:, others].sum(1)
    torch.testing.assert_close(class_probability(logits, FACE_CLASSES) + rest, torch.ones(2, 4, 4))


@pytest.mark.parametrize("name", PARSING_CLASSES)
def test_skin_features_and_glasses_count_as_face_and_hair_and_ears_do_not(name: str) -> None:
    logits = torch.zeros(1, len(PARSING_CLASSES), 1, 1)
    logits[0, PARSING_CLASSES.index(name)] = 20.0
    rest = {"background", "hair", "hat", "earring", "necklace", "neck", "clothes"}
    is_face = name not in rest | {"left ear", "right ear"}
    result = class_probability(logits, FACE_CLASSES)
    assert float(result) == pytest.approx(float(is_face), abs=1e-3)
    head = class_probability(logits, HEAD_CLASSES)
    assert float(head) == pytest.approx(float(name not in {"background", "clothes"}), abs=1e-3)


def test_logits_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="logits must be of 19 classes, got 11"):
        class_probability(torch.zeros(1, 11, 4, 4), FACE_CLASSES)


@torch.inference_mode()
def test_the_released_size_gives_the_published_logits_and_image() -> None:
    result = fill_weights(FaceParser())(picture(3, 512))
    assert published_error("psfrgan_parsenet_512", "logits", result.logits) < 2e-4
    assert published_error("psfrgan_parsenet_512", "image", result.image) < 2e-4
