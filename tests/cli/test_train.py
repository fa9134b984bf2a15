"""``vidrestore train``: what reaches the run, what the user sees of it, how it ends."""

import errno
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli import open_terminal, raising

from vidrestore.cli import main
from vidrestore.cli.display.train_progress import TrainingLines, scores_line, train_display
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.errors import NonFiniteLossError, WeightsError
from vidrestore.training import dry_run
from vidrestore.training.engine import run as training_run
from vidrestore.training.engine.progress import ProgressCallback, TrainingProgress
from vidrestore.training.engine.run import RunConfig

CONFIG = """
steps = 3
[parser]
adam = { lr = 1e-3 }
batch = { size = 2 }
[parser.data]
root = "faces"
sources = [{ folder = "." }]
recipes = [{ name = "gfpgan", share = 1.0 }]
"""


class FakeTraining:
    """Stands in for the run: records the call and runs ``act``."""

    def __init__(self) -> None:
        self.act: Callable[[], None] = lambda: None
        self.calls: list[dict[str, Any]] = []

    def __call__(
        self, config: RunConfig, *, folder: Path, device: str, on_progress: ProgressCallback
    ) -> Path:
        self.calls.append({"config": config, "folder": folder, "device": device})
        on_progress(TrainingProgress(stage="training", step=0, steps=3))
        logging.getLogger("vidrestore.training").info("features of VGG-19")
        logging.getLogger("vidrestore.training").warning("no VGG-19")
        self.act()
        on_progress(TrainingProgress(stage="training", step=1, steps=3, scores={"l1": 0.25}))
        return folder / "last.pt"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeTraining:
    training = FakeTraining()
    monkeypatch.setattr(training_run, "train", training)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RANK", raising=False)
    Path("small.toml").write_text(CONFIG)
    return training


def test_train_passes_its_arguments_to_the_run(fake: FakeTraining) -> None:
    settings = ["--set", "steps=7", "--set", "parser.adam.lr=0.5"]
    assert main(["train", "small.toml", "here", *settings, "--device", "cpu"]) == ExitCode.OK

    (call,) = fake.calls
    assert call["config"].steps == 7
    assert call["config"].parser.adam.lr == 0.5
    assert call["folder"] == Path("here")
    assert call["device"] == "cpu"
    assert Path("here").is_dir()


def test_a_dry_run_prints_costs_and_creates_no_folder(
    fake: FakeTraining, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Costs:
        def lines(self) -> list[str]:
            return ["memory: 5 MiB at most", "3 steps: 5.0 h"]

    monkeypatch.setattr(dry_run, "dry_run", lambda config, device: Costs())
    assert main(["train", "small.toml", "--dry-run"]) == ExitCode.OK
    assert capfd.readouterr().out == "memory: 5 MiB at most\n3 steps: 5.0 h\n"
    assert not fake.calls
    assert not Path("runs").exists()


def test_a_run_without_a_folder_is_named_after_its_config(fake: FakeTraining) -> None:
    assert main(["train", "small.toml"]) == ExitCode.OK
    assert fake.calls[0]["folder"] == Path("runs/small")
    assert Path("runs/small").is_dir()


def test_the_checkpoint_is_printed_on_stdout_and_progress_on_stderr(
    fake: FakeTraining, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "small.toml"]) == ExitCode.OK
    out, err = capfd.readouterr()
    assert out == "runs/small/last.pt\n"
    assert err.splitlines() == [
        "features of VGG-19",
        "warning: no VGG-19",
        "step 1: l1 0.25",
    ]


def test_quiet_prints_the_checkpoint_only(
    fake: FakeTraining, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "small.toml", "--quiet"]) == ExitCode.OK
    assert capfd.readouterr() == ("runs/small/last.pt\n", "")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (NonFiniteLossError("step 3: nan"), ExitCode.FAILED, "error: step 3: nan"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "last.pt"),
            ExitCode.FAILED,
            "error: last.pt: No space left on device; free some space, or write to another disk",
        ),
        (
            MemoryError(),
            ExitCode.FAILED,
            "error: not enough memory; split a batch into N parts by --set "
            "parser.batch.accumulate=N, or lower parser.batch.size",
        ),
        (
            KeyboardInterrupt(),
            ExitCode.INTERRUPTED,
            "interrupted: run the same command to continue from last.pt",
        ),
    ],
)
def test_an_error_of_a_run_is_one_line(
    fake: FakeTraining,
    error: BaseException,
    code: ExitCode,
    line: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    fake.act = raising(error)
    assert main(["train", "small.toml"]) == code
    assert capfd.readouterr().err.splitlines()[2:] == [line]


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["absent.toml"], ExitCode.FAILED, "absent.toml: not a readable TOML file"),
        (["film.mp4"], ExitCode.FAILED, "film.mp4: not a readable TOML file"),
        (["small.toml", "--set", "stepps=3"], ExitCode.FAILED, "did you mean 'steps'"),
        (["small.toml", "--set", "steps.x=3"], ExitCode.FAILED, "steps is not a table"),
        (
            ["small.toml", "--set", "parser.data.sources.folder=a"],
            ExitCode.FAILED,
            "is not a table",
        ),
        ([], ExitCode.USAGE, "required"),
    ],
)
def test_an_invalid_config_is_a_one_line_error_and_creates_no_folder(
    fake: FakeTraining,
    argv: list[str],
    code: ExitCode,
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("film.mp4").write_bytes(b"\xff\xfe\x00\x80")
    assert main(["train", *argv]) == code
    err = capfd.readouterr().err
    assert message in err
    assert code is ExitCode.USAGE or err.count("\n") == 1
    assert not Path("runs").exists()
    assert fake.calls == []


def test_only_the_first_of_many_processes_prints_progress(
    fake: FakeTraining, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "2")
    assert main(["train", "small.toml"]) == ExitCode.OK
    fake.act = raising(KeyboardInterrupt())
    assert main(["train", "small.toml"]) == ExitCode.INTERRUPTED
    assert capfd.readouterr() == ("", "")

    fake.act = raising(WeightsError("net.pth: refused"))
    assert main(["train", "small.toml"]) == ExitCode.FAILED
    assert capfd.readouterr() == ("", "error: process 2: net.pth: refused\n")


def test_training_lines_show_progress_speed_and_time_left() -> None:
    clock = [0.0]
    stream = io.StringIO()
    lines = TrainingLines(stream, lambda: clock[0])
    lines.show(TrainingProgress(stage="training", step=100, steps=1000))
    for step in range(101, 131):
        clock[0] += 2.0
        lines.show(TrainingProgress(stage="training", step=step, steps=1000, terms={"pixels": 0.5}))
    assert stream.getvalue().splitlines() == [
        "step 115 of 1000, 2.0 s/step, 29:30 left, pixels 0.5",
        "step 130 of 1000, 2.0 s/step, 29:00 left, pixels 0.5",
    ]


def test_printed_losses_are_moving_averages() -> None:
    clock = [0.0]
    stream = io.StringIO()
    lines = TrainingLines(stream, lambda: clock[0])
    for step, value in enumerate((1.0, 3.0), start=1):
        clock[0] += 30
        lines.show(TrainingProgress(stage="training", step=step, steps=9, terms={"a": value}))
    assert [line.rpartition(", ")[2] for line in stream.getvalue().splitlines()] == ["a 1", "a 1.1"]


def test_scores_of_input_and_output_are_printed_as_a_pair() -> None:
    scores = {"l1": 0.1, "input/psnr": 21.987654, "output/psnr": 23.1, "input/x": 1.0}
    assert scores_line(9, scores) == "step 9: l1 0.1, psnr 21.99 -> 23.1, input/x 1"


def test_a_terminal_shows_a_bar_and_keeps_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with train_display(quiet=False) as display:
        for step in (50, 51, 52):
            display.show(
                TrainingProgress(stage="training", step=step, steps=200, terms={"pixels": 0.5})
            )
        display.show(TrainingProgress(stage="validating", step=52, steps=200, scores={"l1": 0.1}))
    written = terminal.getvalue()
    assert "52/200" in written
    assert "pixels 0.5" in written
    assert "step 52: l1 0.1\n" in written
    assert written.endswith(("\x1b[2K", "\x1b[0K"))
