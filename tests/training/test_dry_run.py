"""A dry run measures a few steps and keeps nothing; each process has its own GPU."""

from pathlib import Path

import pytest
import torch
from support.runs import psfrgan, small_config, stylegan2, with_clips, write_faces

from vidrestore.errors import ConfigError
from vidrestore.training.dry_run import DryRun, dry_run
from vidrestore.training.engine import run as run_module
from vidrestore.training.engine.run import own_device


def test_a_dry_run_reports_the_cost_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_faces(tmp_path / "data")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = small_config("parser", root)
    costs = dry_run(config, device="cpu")
    network = config.build_task(device=torch.device("cpu")).train_states["parser"].network
    count = sum(parameter.numel() for parameter in network.parameters())
    assert costs.parameters == {"parser": (count, count)}
    # Each weight of a convolution works at many places of two faces, forward and twice backward.
    assert costs.step_flops > 1000 * count
    assert costs.peak_bytes > 2**20
    assert costs.step_seconds > 0
    assert not any((tmp_path / "here").iterdir())


def test_penalties_that_differentiate_twice_are_counted(tmp_path: Path) -> None:
    root, flops = write_faces(tmp_path), list[int]()
    for path_weight in (0.0, 2.0):
        task = stylegan2(root) | {"path_weight": path_weight}
        flops.append(dry_run(small_config("stylegan2", root, stylegan2=task)).step_flops)
    assert flops[1] > 1.05 * flops[0] > 0


def test_frames_of_the_temporal_loss_are_counted(tmp_path: Path) -> None:
    root, flops = write_faces(tmp_path), list[int]()
    for system in (psfrgan, with_clips(psfrgan)):
        config = small_config("psfrgan", root, psfrgan=system(root))
        flops.append(dry_run(config, device="cpu").step_flops)
    assert flops[1] > 1.2 * flops[0] > 0


def test_costs_are_formatted_as_text() -> None:
    costs = DryRun(
        parameters={"generator": (3_000_000, 1_500_000)},
        step_flops=12_340_000_000,
        peak_bytes=5 * 2**20,
        batch_seconds=0.5,
        step_seconds=1.3,
        steps=10_000,
    )
    assert list(costs.lines()) == [
        "generator: 3.00 million parameters, 1.50 trained",
        "step: 12.3 GFLOP with all terms, 1.300 s",
        "batch: 0.500 s more to wait for",
        "memory: 5 MiB at most",
        "10000 steps: 5.0 h",
    ]


@pytest.mark.parametrize(("name", "network"), [("parser", "parser"), ("gfpgan-clean", "generator")])
def test_networks_without_second_derivatives_are_compiled(
    name: str, network: str, tmp_path: Path
) -> None:
    config = small_config(name, write_faces(tmp_path), compile_backend="inductor")
    task = config.build_task(device=torch.device("cpu"))
    config.compile(task)
    compiled = {
        key
        for key, state in task.train_states.items()
        if state.network._compiled_call_impl is not None
    }
    assert compiled == {network}
    with pytest.raises(ConfigError, match="differentiates twice"):
        small_config("stylegan2", tmp_path, compile_backend="inductor")


def test_every_process_selects_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(run_module, "resolve_device", torch.device)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    for requested in ("auto", "cuda"):
        assert own_device(requested) == torch.device("cuda:1")
    assert current == [torch.device("cuda:1")] * 2
    assert own_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="cannot train on one GPU"):
        own_device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match="process 3 on this machine has no GPU: there are 2"):
        own_device("auto")
