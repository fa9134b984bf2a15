"""``vidrestore tune``: what is refused at once, what is shown at the end."""

from pathlib import Path

import pytest

from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.training.tuning import tune as tune_module
from vidrestore.training.tuning.measured_recipe import FilmQuality
from vidrestore.training.tuning.tune import TuneReport
from vidrestore.training.tuning.tuner import TuneScores

REPORT = TuneReport(
    quality=FilmQuality(resolution_px=160.2, noise=3.14, is_gray=True),
    trained_faces=12,
    held_out_faces=4,
    before=TuneScores(psnr_db=27.5, identity_distance=0.2, sharpness=0.8),
    after=TuneScores(psnr_db=28.25, identity_distance=0.18, sharpness=0.9),
)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a film")
    return path


def test_the_improvement_and_the_next_command_are_printed(
    film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[Path, Path, int]] = []

    def made(source: Path, target: Path, **options: object) -> TuneReport:
        config = options["config"]
        assert isinstance(config, tune_module.TuneConfig)
        calls.append((source, target, config.steps))
        return REPORT

    monkeypatch.setattr(tune_module, "tune", made)
    target = film.with_name("tuned.safetensors")
    argv = ["tune", str(film), "-o", str(target), "--steps", "7", "--device", "cpu"]
    assert main(argv) == ExitCode.OK
    assert calls == [(film, target, 7)]
    printed = capsys.readouterr().err
    for line in (
        "film: black and white, faces with 160 px of detail, noise of 3.1 levels",
        "trained on 12 faces, judged on 4 others, beside lite at the detail that is as sharp:",
        "PSNR 27.50 to 28.25 dB",
        "identity distance 0.200 to 0.180",
        "sharpness 0.90 of the true faces'",
        f"restore with --model {target}",
    ):
        assert line in printed
    assert main([*argv, "--quiet"]) == ExitCode.OK
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "tuned.pt"], "must end in .safetensors"),
        (["-o", "tuned.safetensors", "--steps", "0"], "--steps must be 1 or more"),
        (["-o", "tuned.safetensors", "--seed", "-1"], "--seed 0 or more"),
    ],
)
def test_wrong_options_are_usage_errors(
    film: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", str(film), *options]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_a_missing_film_is_refused_before_loading_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["tune", str(tmp_path / "none.mp4"), "-o", str(tmp_path / "tuned.safetensors")]
    assert main(argv) == ExitCode.FAILED
    assert "none.mp4" in capsys.readouterr().err
