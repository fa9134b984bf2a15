"""The proof that our networks are the published ones, and that it can fail."""

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.golden import GOLDEN, PUBLISHED_GOLDEN, published

SMALLEST = "gfpgan_clean_16_many_z"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_small_network_gives_the_golden_numbers(path: Path) -> None:
    comparison = published.compare(path)
    assert comparison.keys > 0
    assert comparison.keys_wrong == ()
    assert comparison.worst_error <= published.TOLERANCE
    assert comparison.passed


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted(PUBLISHED_GOLDEN.glob("*.json")), ids=lambda path: path.stem
)
def test_the_released_size_gives_the_published_numbers(path: Path) -> None:
    comparison = published.compare(path)
    assert comparison.keys_wrong == ()
    assert comparison.worst_error <= 2e-4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for suffix in (".json", ".npz"):
        shutil.copy(GOLDEN / f"{SMALLEST}{suffix}", tmp_path)
    return tmp_path


def edit_description(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / f"{SMALLEST}.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


def with_arrays(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / f"{SMALLEST}.npz"
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    change(arrays)
    np.savez(path, **arrays)


def run_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = published.main([str(folder)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_good_folder_gives_exit_code_0_and_a_row_per_network(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run_comparison(folder, capsys)
    assert code == 0
    row = next(line for line in text.splitlines() if line.startswith(SMALLEST))
    assert row.split()[2] == "yes"
    assert row.endswith("pass")
    assert "1 of 1 pass" in text


def test_a_changed_number_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(arrays: dict[str, Any]) -> None:
        arrays["image"].flat[5] += 1e-3 * np.abs(arrays["image"]).max()

    with_arrays(folder, change)
    code, text = run_comparison(folder, capsys)
    assert code == 1
    row = next(line for line in text.splitlines() if line.startswith(SMALLEST))
    assert row.endswith("1.00e-03  FAIL")
    assert "0 of 1 pass" in text


@pytest.mark.parametrize("where", ["ours", "golden"])
def test_nan_in_an_output_fails(
    folder: Path,
    where: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if where == "golden":
        with_arrays(folder, lambda arrays: arrays["rgb_8"].fill(np.nan))
    else:
        original = published.outputs_of

        def with_nan(*arguments: Any) -> Any:
            outputs = original(*arguments)
            return {**outputs, "image": outputs["image"] * float("nan")}

        monkeypatch.setattr(published, "outputs_of", with_nan)
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert SMALLEST in text


def test_a_missing_key_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_description(
        folder, lambda values: values["state_dict"].update({"more.weight": [[3], "float32"]})
    )
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert "more.weight" in text


def test_an_unexpected_key_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_description(folder, lambda values: values["state_dict"].pop("final_conv.bias"))
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert "    final_conv.bias" in text.splitlines()


def test_a_tensor_of_another_shape_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_description(
        folder, lambda values: values["state_dict"]["final_conv.bias"].__setitem__(0, [7])
    )
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert "    final_conv.bias" in text.splitlines()


def test_a_different_parameter_count_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_description(folder, lambda values: values.update({"parameters": 7}))
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert "147588 parameters, not 7" in text


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"arch": "NoSuchNet"}, "unknown architecture 'NoSuchNet'; choose from: "),
        ({"config": {"out_size": 16, "depth": 3}}, "GFPGANv1Clean: "),
        ({"config": {"out_size": 20}}, "power of two"),
        ({"input": "a cat"}, "unknown input 'a cat'"),
        ({"weights": "xavier"}, "unknown filling rule 'xavier'; known: fan_in, unit"),
    ],
    ids=["architecture", "argument", "size", "input", "rule"],
)
def test_a_network_that_cannot_be_built_is_reported(
    folder: Path, meta: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_description(folder, lambda values: values["meta"].update(meta))
    code, text = run_comparison(folder, capsys)
    assert code == 1
    row = next(line for line in text.splitlines() if line.startswith(SMALLEST))
    assert message in row


def test_an_output_missing_from_the_network_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_arrays(folder, lambda arrays: arrays.update(rgb_4=np.ones((1, 3, 4, 4), np.float32)))
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert "the network has no output 'rgb_4'" in text


def test_an_output_of_another_size_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_arrays(folder, lambda arrays: arrays.update(image=arrays["image"][..., :1, :1]))
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert "(1, 3, 1, 1)" in text


def test_a_file_without_outputs_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_arrays(folder, lambda arrays: arrays.clear())
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert "no outputs to compare" in text


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 cut off"])
def test_unreadable_numbers_are_reported(
    folder: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / f"{SMALLEST}.npz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert f"{SMALLEST:<32} cannot be compared: " in text


def test_one_bad_network_does_not_hide_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a_torn_file.json").write_text("{")
    code, text = run_comparison(folder, capsys)
    assert code == 1
    assert any(line.startswith("a_torn_file ") for line in text.splitlines())
    assert any(line.startswith(SMALLEST) and line.endswith("pass") for line in text.splitlines())
    assert "1 of 2 pass" in text


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_networks_is_reported(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run_comparison(tmp_path / name, capsys)
    assert code == 1
    assert str(tmp_path / name) in text


def expected_tensor(key: str, *shape: int) -> Any:
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("key", "shape", "rule", "expected"),
    [
        ("conv.bias", (2,), "unit", lambda x: 0.1 * x),
        ("noise.weight", (1,), "unit", lambda x: 1 + 0.1 * x),
        ("prelu.weight", (), "fan_in", lambda x: 1 + 0.1 * x),
        ("bn.running_mean", (3,), "fan_in", lambda x: 0.1 * x),
        ("bn.running_var", (3,), "fan_in", lambda x: np.abs(x) * 0.5 + 0.5),
        ("noises.noise0", (1, 1, 4, 4), "fan_in", lambda x: x),
        ("conv.weight", (2, 3, 5, 5), "unit", lambda x: x),
        ("conv.weight", (2, 3, 5, 5), "fan_in", lambda x: x / np.sqrt(75)),
        ("mod.weight", (1, 2, 3, 5, 5), "fan_in", lambda x: x / np.sqrt(75)),
        ("fc.weight", (4, 9), "fan_in", lambda x: x / 3),
        ("bias", (1, 3, 1, 1), "fan_in", lambda x: x),
    ],
)
def test_tensors_are_filled_by_the_documented_rule(
    key: str, shape: tuple[int, ...], rule: str, expected: Callable[[Any], Any]
) -> None:
    value = published.filled_value(key, shape, rule)
    assert value.dtype == np.float32
    assert value.shape == shape
    np.testing.assert_allclose(value, expected(expected_tensor(key, *shape)), rtol=1e-6)


@pytest.mark.parametrize("key", ["bn.num_batches_tracked", "smooth.kernel"])
def test_buffers_for_counts_and_filters_keep_their_initial_values(key: str) -> None:
    assert published.filled_value(key, (4, 4), "unit") is None


def test_the_fill_rule_gives_the_expected_numbers() -> None:
    bias = published.filled_value("final_conv.bias", (3,), "fan_in")
    np.testing.assert_allclose(bias, [-0.05603929, 0.10796961, -0.17286923], rtol=1e-5)


def test_the_input_image_equals_its_formula() -> None:
    picture = published.smooth_picture(2, 3, 5)
    assert picture.shape == (1, 2, 3, 3)
    x, y, channel = 1.0, 0.5, 1
    expected = 0.8 * np.sin(2 * np.pi * ((channel + 1) * x + (channel + 2) * y) + 5 + channel)
    assert float(picture[0, 1, 1, 2]) == pytest.approx(expected, abs=1e-6)
