"""PSFR-GAN's generator, and parser and generator together."""

import copy
from typing import Any

import pytest
import torch
from support.psfrgan import (
    fill_weights,
    one_hot_map,
    picture,
    plain_generator,
    published_error,
    shapes_of,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from vidrestore.models.common.fusion import fuse
from vidrestore.models.face_parser import FaceParser
from vidrestore.models.psfrgan.convolution import Convolution
from vidrestore.models.psfrgan.generator import (
    PsfrganGenerator,
    PsfrganRestorer,
    build_psfrgan,
    psfrgan_generator_from_shapes,
)

SMALL: dict[str, Any] = {
    "in_size": 64,
    "out_size": 64,
    "min_feat_size": 16,
    "ch_range": (8, 32),
}


def small(**changes: Any) -> PsfrganGenerator:
    generator = fill_weights(PsfrganGenerator(**{**SMALL, **changes}))
    assert isinstance(generator, PsfrganGenerator)
    return generator


def inputs(count: int = 1, side: int = 64) -> tuple[Tensor, Tensor]:
    image = torch.cat([picture(3, side, seed) for seed in range(count)])
    parsing = torch.cat([one_hot_map(side, cell_px=8 + index) for index in range(count)])
    return image, parsing


def psnr_db(one: Tensor, other: Tensor) -> float:
    first, second = ((tensor.float() * 0.5 + 0.5).clamp(0, 1) for tensor in (one, other))
    return float(-10 * torch.log10((first - second).square().mean()))


def small_restorer() -> PsfrganRestorer:
    parser = fill_weights(
        FaceParser(in_size=64, out_size=64, min_feat_size=16, base_ch=32, res_depth=1)
    )
    assert isinstance(parser, FaceParser)
    return PsfrganRestorer(parser=parser, generator=small())


def test_tensors_are_named_as_published() -> None:
    keys = set(shapes_of(small()))
    spectral = {"weight_orig", "weight_u", "weight_v", "bias"}
    block = {"conv_0", "conv_1"} | {
        f"norm_{index}.{conv}"
        for index in (0, 1)
        for conv in ("conv1.0", "gamma_conv", "beta_conv")
    }
    convs = {"head.0", "img_out"} | {f"head.1.{name}" for name in block}
    for index in (0, 1):
        convs |= {f"body.{index}.1"} | {f"body.{index}.2.{name}" for name in block}
    assert keys == {"const_input"} | {f"{conv}.{name}" for conv in convs for name in spectral}


@torch.no_grad()
def test_the_output_equals_the_published_formulas() -> None:
    generator = small()
    image, parsing = inputs(2)
    expected = plain_generator(generator.state_dict(), image, parsing, steps=2)
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(generator(image, parsing).image, expected, atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_an_input_of_another_size_is_resized_to_every_scale() -> None:
    generator = small()
    image, parsing = inputs(1, side=48)
    expected = plain_generator(generator.state_dict(), image, parsing, steps=2)
    torch.testing.assert_close(generator(image, parsing).image, expected, atol=2e-5, rtol=1e-5)


def test_gradients_equal_those_of_the_formulas_in_training() -> None:
    generator = small()
    image, parsing = inputs(2)
    generator(image, parsing).image.square().mean().backward()
    state = {
        key: tensor.detach().clone().requires_grad_("weight_u" not in key and "_v" not in key)
        for key, tensor in generator.state_dict().items()
    }
    plain_generator(state, image, parsing, steps=2).square().mean().backward()
    for key, parameter in generator.named_parameters():
        assert parameter.grad is not None, key
        expected = state[key].grad
        assert expected is not None
        largest = float(expected.abs().max())
        assert float((parameter.grad - expected).abs().max()) < 1e-3 * largest + 1e-7, key


def test_gradients_reach_every_parameter_in_training() -> None:
    generator = small().train()
    generator(*inputs(2)).image.square().mean().backward()
    missing = [
        key
        for key, parameter in generator.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.abs().sum() > 0)
    ]
    assert missing == []


@torch.no_grad()
def test_spectral_norm_iterates_once_per_training_call_and_never_in_evaluation() -> None:
    generator = small()
    weight = generator.state_dict()["body.0.1.weight_orig"].flatten(1).clone()
    before = {key: tensor.clone() for key, tensor in generator.state_dict().items()}
    generator(*inputs())
    for key, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    generator.train()(*inputs())
    v = F.normalize(weight.t() @ before["body.0.1.weight_u"], dim=0)
    u = F.normalize(weight @ v, dim=0)
    torch.testing.assert_close(generator.state_dict()["body.0.1.weight_v"], v)
    torch.testing.assert_close(generator.state_dict()["body.0.1.weight_u"], u)


@torch.no_grad()
def test_spectral_norm_converges_to_a_largest_singular_value_of_one() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # how fast the iteration settles depends on the weights drawn
        generator = PsfrganGenerator(**SMALL).train()
    for _ in range(60):
        generator(*inputs())
    conv = generator.eval().head[0]
    assert isinstance(conv, Convolution)
    largest = torch.linalg.matrix_norm(conv.kernel().flatten(1), ord=2)
    assert float(largest) == pytest.approx(1.0, abs=0.01)
    started = torch.linalg.matrix_norm(conv.raw_weight().flatten(1), ord=2)
    assert abs(float(started) - 1.0) > 0.05


@torch.no_grad()
@pytest.mark.parametrize("change", ["in place", "loaded", "cast", "trained"])
def test_changed_parameters_change_the_result(change: str) -> None:
    generator = small()
    generator(*inputs())
    if change == "in place":
        for parameter in generator.parameters():
            parameter.mul_(1.1)
    elif change == "loaded":
        other = PsfrganGenerator(**SMALL).state_dict()
        generator.load_state_dict(other)
    elif change == "cast":
        generator.to(torch.bfloat16).to(torch.float32)
    else:
        generator.train()(*inputs())
        generator.eval()
    fresh = PsfrganGenerator(**SMALL).eval()
    fresh.load_state_dict(generator.state_dict())
    assert torch.equal(generator(*inputs()).image, fresh(*inputs()).image)


def test_gradients_flow_after_a_use_in_inference_mode() -> None:
    generator = small().requires_grad_(False)
    image, parsing = inputs()
    with torch.inference_mode():
        expected = generator(image, parsing).image.clone()
    image.requires_grad_()
    result = generator(image, parsing).image
    result.sum().backward()
    assert image.grad is not None
    assert float((result.detach() - expected).abs().max()) < 1e-5


@torch.no_grad()
def test_a_copy_has_equal_weights_and_is_independent() -> None:
    generator = small()
    expected = generator(*inputs()).image
    other = copy.deepcopy(generator)
    for parameter in generator.parameters():
        parameter.zero_()
    torch.testing.assert_close(other(*inputs()).image, expected)


@torch.no_grad()
def test_a_face_is_restored_the_same_alone_and_in_a_batch() -> None:
    generator = small()
    image, parsing = inputs(3)
    together = generator(image, parsing).image
    alone = [
        generator(image[index : index + 1], parsing[index : index + 1]).image for index in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


@torch.no_grad()
def test_half_precision_stays_close_to_float32() -> None:
    generator = small()
    image, parsing = inputs()
    expected = generator(image, parsing).image
    result = generator.to(torch.bfloat16)(image, parsing).image
    assert result.dtype == torch.float32
    assert psnr_db(result, expected) > 40.0


@torch.no_grad()
def test_other_kinds_of_normalization_and_activation_are_built() -> None:
    blind = small(norm_type="in")
    first, other = picture(3, 64, 0), picture(3, 64, 1)
    parsing = one_hot_map(64, cell_px=8)
    assert torch.equal(blind(first, parsing).image, blind(other, parsing).image)
    assert not any("gamma" in key for key in blind.state_dict())
    assert "head.1.relu.func.weight" in small(relu_type="PReLU").state_dict()
    assert "img_out.weight" in small(spectral_norm=False).state_dict()
    for kind in ("relu", "selu", "none"):
        assert small(relu_type=kind)(first, parsing).image.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"norm_type": "bn"}, "norm_type 'bn' is none of: spade, in"),
        ({"relu_type": "gelu"}, "relu_type 'gelu' is none of"),
        ({"out_size": 72}, "72 px must be 16 px times a power"),
    ],
)
def test_unpublished_settings_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PsfrganGenerator(**{**SMALL, **changes})


def test_a_parsing_map_of_another_size_than_the_image_is_refused() -> None:
    image, parsing = inputs()
    with pytest.raises(ValueError, match="parsing must be"):
        small()(image, parsing[:, :, ::2, ::2])
    with pytest.raises(ValueError, match="parsing must be"):
        small()(image, parsing[:, :7])


@pytest.mark.parametrize(
    "arguments",
    [
        SMALL,
        {**SMALL, "in_size": 32, "out_size": 32, "min_feat_size": 8, "ch_range": (16, 64)},
        {**SMALL, "in_size": 128, "out_size": 128, "parse_ch": 11, "output_nc": 1},
        {**SMALL, "relu_type": "prelu"},
        {**SMALL, "norm_type": "in"},
        {**SMALL, "spectral_norm": False},
        {**SMALL, "in_size": 16, "out_size": 16},
    ],
)
def test_the_configuration_is_read_from_a_checkpoint(arguments: dict[str, Any]) -> None:
    network = PsfrganGenerator(**arguments)
    result = psfrgan_generator_from_shapes(shapes_of(network))
    assert result is not None
    same = PsfrganGenerator(**result)
    assert shapes_of(same) == shapes_of(network)
    assert (same.in_size, same.out_size, same.parse_ch) == (
        network.in_size,
        network.out_size,
        network.parse_ch,
    )


def test_tensors_of_other_networks_are_not_mistaken_for_a_generator() -> None:
    shapes = shapes_of(PsfrganGenerator(**SMALL))
    assert psfrgan_generator_from_shapes({}) is None
    less = {key: shape for key, shape in shapes.items() if key != "body.1.2.conv_0.bias"}
    assert psfrgan_generator_from_shapes(less) is None
    assert psfrgan_generator_from_shapes({**shapes, "to_rgb.0.weight": (3, 8, 3, 3)}) is None
    assert psfrgan_generator_from_shapes({**shapes, "head.0.bias": (31,)}) is None
    assert psfrgan_generator_from_shapes({**shapes, "img_out.weight_orig": ()}) is None
    assert psfrgan_generator_from_shapes({"const_input": (1, 8, 0, 0), **{}}) is None


def record_inputs(module: nn.Module) -> list[tuple[Tensor, ...]]:
    calls: list[tuple[Tensor, ...]] = []
    module.register_forward_pre_hook(lambda _, given: calls.append(given))
    return calls


@torch.no_grad()
def test_the_parser_runs_once_and_gives_the_generator_its_most_likely_classes() -> None:
    restorer = small_restorer().eval()
    parsed, restored = record_inputs(restorer.parser), record_inputs(restorer.generator)
    image = torch.cat([picture(3, 64, seed) for seed in range(2)])
    output = restorer(image)
    assert [len(call[0]) for call in parsed] == [2]
    assert torch.equal(parsed[0][0], image)
    assert torch.equal(restored[0][0], image)
    assert output.parsing is not None
    best = F.one_hot(output.parsing.argmax(1), 19).permute(0, 3, 1, 2).float()
    assert torch.equal(restored[0][1], best)
    assert len(best.sum((0, 2, 3)).nonzero()) > 1
    assert output.image.shape == image.shape


def test_the_parser_is_not_trained() -> None:
    restorer = small_restorer().train()
    before = {key: tensor.clone() for key, tensor in restorer.parser.state_dict().items()}
    output = restorer(torch.cat([picture(3, 64, seed) for seed in range(2)]))
    output.image.square().mean().backward()
    assert restorer.generator.training
    assert not restorer.parser.training
    for key, tensor in restorer.parser.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    trained = [key for key, tensor in restorer.named_parameters() if tensor.grad is not None]
    assert trained == [key for key, tensor in restorer.named_parameters() if tensor.requires_grad]
    assert all(key.startswith("generator.") for key in trained)


@torch.no_grad()
def test_a_parser_of_another_size_gets_the_crop_resized() -> None:
    parser = fill_weights(
        FaceParser(in_size=32, out_size=32, min_feat_size=16, base_ch=32, res_depth=1)
    )
    assert isinstance(parser, FaceParser)
    restorer = build_psfrgan(parser=parser, generator=small()).eval()
    parsed = record_inputs(parser)
    output = restorer(picture(3, 64))
    assert parsed[0][0].shape == (1, 3, 32, 32)
    assert output.parsing is not None
    assert output.parsing.shape == (1, 19, 64, 64)


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="crops must be 64 x 64 px, got 64 x 96"):
        small_restorer()(torch.zeros(1, 3, 64, 96))


def test_the_released_size_gives_the_published_image_at_174_gflop() -> None:
    generator = fill_weights(PsfrganGenerator()).requires_grad_(False)
    given = picture(3, 512), one_hot_map(512, cell_px=64)
    fuse(generator)
    with torch.inference_mode():
        image = generator(*given).image
        with FlopCounterMode(display=False) as counter:
            generator(*given)
    assert published_error("psfrgan_generator_512", "image", image) < 2e-4
    assert counter.get_total_flops() / 1e9 == pytest.approx(173.7, abs=0.5)
