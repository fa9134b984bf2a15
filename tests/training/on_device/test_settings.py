"""Settings, stage budget, curves and teacher cache of training on one device."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.devicetraining import DETAIL, run_config, stage, training_root, use_small_restorer
from support.facefolders import draw_face
from torch import nn

from vidrestore.errors import ConfigError
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.toml_config import read_config
from vidrestore.training.data.dataset import FaceDataset
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.on_device.config import DeviceRunConfig, TeacherConfig
from vidrestore.training.on_device.curves import draw_curves
from vidrestore.training.on_device.data.batches import SecondView
from vidrestore.training.on_device.data.degradation_table import DegradationTable
from vidrestore.training.on_device.data.teacher_cache import CachedFaces, TeacherCache
from vidrestore.training.on_device.lite_weights import build_lite_from, read_starting_state
from vidrestore.training.on_device.losses import consistency_loss
from vidrestore.training.on_device.run import train_on_device
from vidrestore.training.on_device.stage_budget import StageBudget, first_stage_seconds
from vidrestore.training.on_device.teacher import Teacher
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_weights, read_weights

CPU = torch.device("cpu")
CONFIG = Path(__file__).parents[3] / "configs" / "train" / "lite_gpu.toml"


@pytest.mark.parametrize("name", ["lite_cpu.toml", "lite_cpu_fidelity.toml", "lite_small_cpu.toml"])
def test_the_configs_for_cpus_are_valid(name: str) -> None:
    config = read_config(CONFIG.with_name(name), DeviceRunConfig)
    assert all(config.reads_cache(stage) for stage in config.stages)


def test_the_config_for_gpus_is_valid_and_its_recipes_run_on_the_device() -> None:
    config = read_config(CONFIG, DeviceRunConfig)
    assert [stage.keeps for stage in config.stages] == ["", "fidelity", "", "detail"]
    assert config.stages[0].side_px < config.stages[1].side_px
    table = DegradationTable(
        config.data.recipes,
        rows=8,
        side_px=256,
        gray_probability=0,
        aged_probability=0,
        seed=0,
        device=CPU,
    )
    assert len(table.all().sigma_px) == 8


@pytest.mark.parametrize(
    ("stages", "changes", "message"),
    [
        ([stage("a", side_px=96)], {}, "must divide faces.size_px, 128"),
        ([stage("a", side_px=48)], {}, "multiple of 32"),
        ([stage("a", loss_weights={"identity": 1.0})], {}, "log_l1, truth and teacher"),
        (
            [stage("a", loss_weights={"truth": 1.0, "adversary": 0.1})],
            {},
            r"needs a table \[adversary\]",
        ),
        (
            [stage("a", loss_weights={"truth": 1.0, "matching": 1.0})],
            {},
            "needs loss_weights.adversary",
        ),
        ([stage("a", loss_weights={"teacher": 1.0})], {}, "fidelity end"),
        (
            [stage("a", keeps="detail"), stage("b", keeps="detail")],
            {},
            "two stages have the same keeps",
        ),
        ([stage("a", codec_ratio=1.0)], {}, "codec_ratio"),
        ([stage("a")], {"minutes": 0.0}, "minutes"),
        ([], {}, "must be a stage"),
        ([stage("a")], {"precision": "fp16"}, "use bf16"),
        (
            [stage("a", loss_weights=DETAIL, codec_ratio=0.5)],
            {"teacher": {"cache": "pairs"}},
            "has codec samples already",
        ),
    ],
)
def test_conflicting_settings_are_refused(
    tmp_path: Path, stages: list[dict[str, Any]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_config(tmp_path, stages, **changes)


def test_a_timed_stage_ends_in_time_and_estimates_its_steps() -> None:
    times = iter([100.0, 100.0, 102.0, 104.0, 109.9, 110.0])
    budget = StageBudget(seconds=12.0, steps=None, spent_seconds=2.0, clock=lambda: next(times))
    assert budget.steps(0) > 1000
    assert budget.steps(10) == 30
    assert budget.steps(20) == 40
    assert not budget.is_over(50)
    assert budget.is_over(50)


def test_a_stage_by_steps_ignores_the_time() -> None:
    budget = StageBudget(seconds=0.0, steps=3, clock=lambda: 0.0)
    assert [budget.is_over(step) for step in (0, 2, 3)] == [False, False, True]
    assert budget.steps(1) == 3


def test_stages_share_the_remaining_time(tmp_path: Path) -> None:
    timed = [stage(name, share=share) for name, share in (("a", 1.0), ("b", 3.0))]
    for settings in timed:
        del settings["steps"]
    stages = run_config(tmp_path, [*timed, stage("c")]).stages
    assert first_stage_seconds(80.0, stages) == 20.0
    assert first_stage_seconds(60.0, stages[1:]) == 60.0
    assert first_stage_seconds(5.0, stages[2:]) == 5.0
    assert first_stage_seconds(-1.0, stages) == 0.0


def test_curves_plot_every_value(tmp_path: Path) -> None:
    lines = [{"step": step, "loss": 1 / step, "hours_left": 1.0} for step in range(1, 9)]
    lines.append({"step": 9, "val/psnr": 24.0, "loss": float("nan")})
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert draw_curves(log, tmp_path / "curves.png") == ["loss", "val/psnr"]
    image = cv2.imread(str(tmp_path / "curves.png"))
    assert image is not None
    assert np.unique(image).size > 3
    log.write_text("")
    assert draw_curves(log, tmp_path / "none.png") == []
    assert not (tmp_path / "none.png").exists()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_small_restorer(monkeypatch)
    return training_root(tmp_path / "data")


def test_the_embedded_network_is_the_fidelity_end_of_the_packaged_weights() -> None:
    with bundled_file("lite.safetensors") as path:
        expected = read_weights(path, detail=0.0).state
    state = read_starting_state("embedded")
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_the_compact_network_is_computed_at_a_quarter_of_the_side() -> None:
    compact = CompactUpscaler()
    with bundled_file("compact_x4.safetensors") as path:
        load_weights(compact, path)
    crop = torch.from_numpy(draw_face(3, side_px=128).transpose(2, 0, 1) / 255)[None].float()
    small = nn.functional.avg_pool2d(crop, 4)
    detail = crop - nn.functional.interpolate(small, (128, 128))
    with torch.no_grad():
        expected = compact(small) + torch.sigmoid(torch.tensor(-4.0)) * detail
        output = build_lite_from(read_starting_state("compact"))(crop * 2 - 1).image / 2 + 0.5
    assert (output - expected).abs().max() < 1e-4


def test_a_cache_is_filled_in_any_order_and_trained_on(root: Path, tmp_path: Path) -> None:
    weights = {key: value for key, value in DETAIL.items() if key != "consistency"}
    cached = stage("cached", steps=1, batch=6, loss_weights=weights)
    config = run_config(root, [cached], teacher={"cache": str(tmp_path / "pairs")})
    samples = FaceDataset(replace(config.data.faces, size_px=64), seed=0)
    filled: list[int] = []
    cache = TeacherCache(tmp_path / "pairs", count=3, side_px=64)
    with pytest.raises(ConfigError, match="the cache is empty"):
        CachedFaces(tmp_path / "pairs", config.stages[0], teacher=config.teacher, device=CPU)
    teacher = Teacher(
        build_lite_from(read_starting_state("untrained")),
        side_px=64,
        config=TeacherConfig(good_psnr_db=99.0),
        device=CPU,
        dtype=torch.float32,
    )
    assert cache.fill(samples, teacher, device=CPU, every=2, on_sample=filled.append) == 2
    reopened = TeacherCache(tmp_path / "pairs", count=3, side_px=64)
    assert reopened.fill(samples, None, device=CPU, on_sample=filled.append) == 1
    assert filled == [0, 2, 1]
    assert reopened.meta[:, 0].tolist() == [1, -1, 1]

    run_state = RunState(step=5, steps=9, seed=0, device=CPU)
    batches = [
        CachedFaces(
            tmp_path / "pairs",
            config.stages[0],
            teacher=replace(config.teacher, in_memory=in_memory),
            device=CPU,
        ).batch(run_state)
        for in_memory in (True, False)
    ]
    for in_memory, from_disk in zip(*batches, strict=True):
        assert in_memory is from_disk is None or torch.equal(in_memory, from_disk)
    assert train_on_device(config, folder=tmp_path / "run", device="cpu")
    line = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert line["gradients"] > 0


def test_a_cache_of_another_size_is_refused(root: Path, tmp_path: Path) -> None:
    TeacherCache(tmp_path / "pairs", count=2, side_px=64)
    with pytest.raises(ConfigError, match="2 faces of 64 px"):
        TeacherCache(tmp_path / "pairs", count=2, side_px=128)
    config = run_config(root, [stage("a", side_px=128)])
    with pytest.raises(ConfigError, match="faces of 64 px"):
        CachedFaces(tmp_path / "pairs", config.stages[0], teacher=config.teacher, device=CPU)
    (tmp_path / "pairs" / "clean.npy").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not a cache of teacher pairs"):
        TeacherCache(tmp_path / "pairs", count=2, side_px=64)


def test_windows_of_cached_faces_shift_the_boxes_of_eyes_and_mouth(
    root: Path, tmp_path: Path
) -> None:
    cached = stage("cached", batch=4, crop_px=32, loss_weights={**DETAIL, "consistency": 0.5})
    config = run_config(root, [cached], teacher={"cache": str(tmp_path / "pairs")})
    samples = FaceDataset(replace(config.data.faces, size_px=64), seed=0)
    TeacherCache(tmp_path / "pairs", count=1, side_px=64).fill(samples, None, device=CPU)
    source = CachedFaces(tmp_path / "pairs", config.stages[0], teacher=config.teacher, device=CPU)
    full, windows = (
        source.batch(RunState(step=step, steps=9, seed=0, device=CPU)) for step in (4, 5)
    )
    assert full.target.shape == (2, 3, 64, 64)
    assert windows.target.shape == windows.degraded.shape == (4, 3, 32, 32)
    views = {
        name: torch.cat([image, image.flip(3)])
        for name, image in full._asdict().items()
        if name in ("degraded", "target")
    }
    boxes = full.boxes_xyxy[:1]
    mirrored = torch.cat([boxes, boxes])
    for target, degraded, box in zip(
        windows.target, windows.degraded, windows.boxes_xyxy, strict=True
    ):
        matches = [
            (index, y, x)
            for index in range(len(views["target"]))
            for y in range(33)
            for x in range(33)
            if torch.equal(views["target"][index, :, y : y + 32, x : x + 32], target)
        ]
        assert len({(y, x) for _, y, x in matches}) == 1
        index, y, x = matches[0]
        assert torch.equal(views["degraded"][index, :, y : y + 32, x : x + 32], degraded)
        assert box[2, 1] == mirrored[0, 2, 1] - y
    assert windows.second_view is not None
    assert windows.second_view.degraded.shape == (1, 3, 32, 32)


def test_a_second_view_of_a_cached_face_is_shifted(root: Path, tmp_path: Path) -> None:
    cached = stage("cached", batch=2, loss_weights={**DETAIL, "consistency": 0.5})
    config = run_config(root, [cached], teacher={"cache": str(tmp_path / "pairs")})
    samples = FaceDataset(replace(config.data.faces, size_px=64), seed=0)
    TeacherCache(tmp_path / "pairs", count=1, side_px=64).fill(samples, None, device=CPU)
    source = CachedFaces(tmp_path / "pairs", config.stages[0], teacher=config.teacher, device=CPU)
    batch = source.batch(RunState(step=1, steps=9, seed=0, device=CPU))
    assert batch.second_view is not None
    # The identity is consistent, up to interpolation.
    loss = consistency_loss(batch.degraded, batch.second_view.degraded, batch)
    unshifted = SecondView(batch.degraded[:1], batch.second_view.shift_xy)
    assert loss < 0.5 * consistency_loss(
        batch.degraded, unshifted.degraded, batch._replace(second_view=unshifted)
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cached": True}, "cached needs teacher.cache"),
        ({"crop_px": 32}, "crop_px needs faces from teacher.cache"),
        ({"crop_px": 48}, "crop_px must be a multiple of 32"),
    ],
)
def test_settings_of_the_cache_without_a_cache_are_refused(
    root: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_config(root, [stage("a", **settings)])


def test_changes_of_faces_that_the_device_does_not_make_are_refused() -> None:
    path = Path(__file__).parents[3] / "configs" / "train" / "lite_gpu.toml"
    with pytest.raises(ConfigError, match="leave vary_exposure, mirror and color_jitter out"):
        read_config(path, DeviceRunConfig, overrides=["data.faces.mirror=false"])
