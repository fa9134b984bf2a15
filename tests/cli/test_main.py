"""The border between the program and the shell: exit codes, one-line errors, signals."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from support.cli import raising
from support.records import make_report

from vidrestore import JobSettings, RestoreSettings, __version__
from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.errors import MediaError, WeightsError
from vidrestore.jobs import run
from vidrestore.pipeline.loading.load_models import DownloadCallback
from vidrestore.pipeline.report import RestoreReport, ShotRecord, TrackRecord
from vidrestore.progress import Progress, ProgressCallback

ROOT = Path(__file__).parents[2]


REPORT = make_report(
    faces=3,
    shot_records=(
        ShotRecord(shot=0, first_frame=0, last_frame=2, start_seconds=0.0, one_tone=False),
    ),
    track_records=(TrackRecord(track=0, shot=0, first_frame=0, last_frame=2, faces=3),),
    timing={"restore": 0.5},
)


class FakePipeline:
    """Stands in for the pipeline: records the call and runs ``act``."""

    def __init__(self) -> None:
        self.act: Callable[[], None] = lambda: None
        self.calls: list[tuple[Path, Path, RestoreSettings]] = []

    def __call__(
        self,
        source: Path,
        output: Path,
        *,
        settings: RestoreSettings,
        job: JobSettings,
        on_progress: ProgressCallback,
        on_download: DownloadCallback,
    ) -> RestoreReport:
        self.calls.append((source, output, settings))
        on_progress(Progress(stage="restoring", frames_done=1, frames_total=3, faces_done=1))
        on_download("net", 1, None)
        self.act()
        return REPORT


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> FakePipeline:
    folder = tmp_path_factory.mktemp("sources")
    for name in ("film.mp4", "film.mkv"):
        (folder / name).write_bytes(b"found, but not read: the pipeline is a fake")
    monkeypatch.chdir(folder)
    pipeline = FakePipeline()
    monkeypatch.setattr(run, "restore_video", pipeline)
    return pipeline


def test_success_exits_with_0_and_prints_a_summary_on_stderr(
    fake: FakePipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["film.mp4", "-o", "out.mp4"]) == ExitCode.OK

    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("out.mp4: 3 frames, 3 faces in 1 track, ")
    assert err.count("\n") == 1


def test_quiet_success_prints_nothing(
    fake: FakePipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["film.mp4", "-o", "out.mp4", "--quiet"]) == ExitCode.OK
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MediaError("film.mp4: not a video\n  or so"), "error: film.mp4: not a video or so"),
        (WeightsError("net.pth: refused"), "error: net.pth: refused"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.mp4"),
            "error: out.mp4: No space left on device; free some space, or write to another disk",
        ),
        (BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)), "error: Broken pipe"),
        (MemoryError(), "error: not enough memory; try a smaller --batch-size, or --device cpu"),
    ],
)
def test_an_expected_error_prints_one_line_and_exits_with_1(
    fake: FakePipeline, error: Exception, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.act = raising(error)

    assert main(["film.mp4", "-o", "out.mp4"]) == ExitCode.FAILED
    assert capfd.readouterr() == ("", line + "\n")


def test_debug_keeps_the_traceback_of_an_expected_error(
    fake: FakePipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.act = raising(MediaError("film.mp4: not a video"))

    assert main(["film.mp4", "-o", "out.mp4", "--debug"]) == ExitCode.FAILED
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert err.endswith("\nerror: film.mp4: not a video\n")


def test_an_unexpected_error_keeps_its_traceback(fake: FakePipeline) -> None:
    fake.act = raising(ZeroDivisionError("a mistake of ours"))

    with pytest.raises(ZeroDivisionError, match="a mistake of ours"):
        main(["film.mp4", "-o", "out.mp4"])


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["film.mp4"],
        ["film.mp4", "-o", "out.mp4", "--codec", "divx"],
        ["film.mp4", "-o", "out.mp4", "--start", "yesterday"],
        ["film.mp4", "-o", "out.mp4", "--fps", "0"],
        ["film.mp4", "-o", "out.mp4", "--strength", "much"],
        ["film.mp4", "-o", "out.mp4", "--unknown"],
        ["info"],
        ["weights"],
        ["weights", "steal"],
    ],
)
def test_a_usage_error_exits_with_2(
    fake: FakePipeline, argv: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == ExitCode.USAGE
    assert capfd.readouterr().err
    assert fake.calls == []


@pytest.mark.parametrize(
    "argv",
    [
        ["--start", "5", "--end", "4"],
        ["--codec", "ffv1", "--crf", "20"],
        ["--codec", "h264", "--crf", "52"],
        ["--preset", "hasty"],
        ["--scale", "2"],
        ["--workers", "2"],
    ],
)
def test_conflicting_options_are_a_one_line_error(
    fake: FakePipeline, argv: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["film.mp4", "-o", "out.mp4", *argv]) == ExitCode.USAGE
    err = capfd.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert fake.calls == []


@pytest.mark.parametrize(
    ("option", "value", "range_text"),
    [
        ("--strength", "2", "from 0 to 1"),
        ("--grain", "nan", "from 0 to 1"),
        ("--steady", "-1e-9", "from 0 to 1"),
        ("--safeguard", "inf", "from 0 to 1"),
        ("--keep-good", "1.01", "from 0 to 1"),
        ("--fidelity", "-0.1", "from 0 to 1"),
        ("--detail", "1.5", "from 0 to 1"),
        ("--detail", "nan", "from 0 to 1"),
        ("--batch-size", "0", "at least 1"),
        ("--batch-size", "2.5", "whole number"),
        ("--workers", "0", "at least 1"),
        ("--min-face", "-1", "at least 0"),
        ("--segment", "0", "above 0 and at most 3600"),
        ("--segment", "3601", "above 0 and at most 3600"),
    ],
)
@pytest.mark.parametrize("command", [["film.mp4", "-o", "out.mp4"], ["batch", ".", "-o", "out"]])
def test_a_value_out_of_range_is_a_usage_error_with_option_and_range(
    fake: FakePipeline,
    command: list[str],
    option: str,
    value: str,
    range_text: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main([*command, option, value]) == ExitCode.USAGE

    out, err = capfd.readouterr()
    assert out == ""
    assert f"Error parsing {option}: must be " in err
    assert range_text in err
    assert repr(value) in err
    assert fake.calls == []


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--strength", ("0", "1", ".5", "1e-3")),
        ("--segment", ("0.5", "3600")),
        ("--min-face", ("0", "24.5")),
        ("--batch-size", ("1", "64")),
    ],
)
def test_values_at_both_ends_of_a_range_are_valid(
    fake: FakePipeline, option: str, values: tuple[str, ...]
) -> None:
    for value in values:
        assert main(["film.mp4", "-o", "out.mp4", "--quiet", option, value]) == ExitCode.OK


def test_a_missing_source_prints_one_line_and_exits_with_1(
    fake: FakePipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["absent.mp4", "-o", "out.mp4"]) == ExitCode.FAILED
    line = "error: absent.mp4: no such file or folder; check the name\n"
    assert capfd.readouterr() == ("", line)
    assert fake.calls == []


def test_every_option_sets_its_setting(fake: FakePipeline) -> None:
    arguments = """film.mkv --output out.mkv --model net.pth --fidelity 0.75 --detail 0.25
        --background sr.pth --scale 2 --detector retinaface --device cuda:1
        --precision bf16 --batch-size 3 --strength 0.5 --grain 0.25 --mask face --faces largest
        --min-face 31
        --only-track 3 --only-track 5,8
        --start 1:02.5 --end 01:00:00 --codec h265 --crf 7.5 --preset slow --chroma 420 --fps 23.976
        --compare side.mkv --overwrite --drop-unsupported --quiet"""
    assert main(arguments.split()) == ExitCode.OK

    ((source, output, settings),) = fake.calls
    assert (source, output) == (Path("film.mkv"), Path("out.mkv"))
    expected = {
        "model": "net.pth",
        "fidelity": 0.75,
        "detail": 0.25,
        "background": Path("sr.pth"),
        "scale": 2,
        "detector": "retinaface",
        "device": "cuda:1",
        "precision": "bf16",
        "batch_size": 3,
        "strength": 0.5,
        "grain": 0.25,
        "mask": "face",
        "faces": "largest",
        "min_face_px": 31.0,
        "only_tracks": (3, 5, 8),
        "start_seconds": Fraction(125, 2),
        "end_seconds": Fraction(3600),
        "codec": "h265",
        "crf": 7.5,
        "preset": "slow",
        "chroma": "420",
        "fps": Fraction(24_000, 1001),
        "compare": Path("side.mkv"),
        "overwrite": True,
        "drop_unsupported": True,
    }
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    "words",
    [
        "film.mkv -o out.mkv --background --device cpu",
        "film.mkv -o out.mkv --device cpu --background",
        "--background -o out.mkv --device cpu film.mkv",
        "film.mkv -o out.mkv --device cpu --background compact",
        "--device cpu --background compact film.mkv -o out.mkv",
        "film.mkv -o out.mkv --device cpu --background=auto",
    ],
)
def test_a_background_without_a_value_is_chosen_for_the_device(
    fake: FakePipeline, words: str
) -> None:
    assert main([*words.split(), "--quiet"]) == ExitCode.OK

    ((source, output, settings),) = fake.calls
    assert (source, output) == (Path("film.mkv"), Path("out.mkv"))
    assert settings == RestoreSettings(device="cpu", background="compact")


def test_a_misspelled_background_is_a_one_line_error(
    fake: FakePipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["film.mkv", "-o", "out.mkv", "--background", "realesgan"]) == ExitCode.FAILED

    err = capfd.readouterr().err
    assert err.startswith("error: unknown background 'realesgan'; did you mean 'realesrgan'?")
    assert err.count("\n") == 1
    assert fake.calls == []


def test_the_defaults_of_the_command_are_those_of_the_api(fake: FakePipeline) -> None:
    assert main(["film.mp4", "-o", "out.mp4"]) == ExitCode.OK

    ((_, _, settings),) = fake.calls
    assert settings == RestoreSettings()


def test_the_report_is_written_completely(fake: FakePipeline, tmp_path: Path) -> None:
    report = tmp_path / "out.json"

    assert main(["film.mp4", "-o", "out.mp4", "--report", str(report)]) == ExitCode.OK
    assert json.loads(report.read_text()) == REPORT.to_json()
    assert list(tmp_path.iterdir()) == [report]


@pytest.mark.parametrize("name", ["absent/out.json", ".", "film.mp4", "there.json"])
def test_an_unwritable_report_is_refused_before_restoring(
    fake: FakePipeline, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.json").write_text("something of the user's")
    argv = [str(tmp_path / "film.mp4"), "-o", "out.mp4", "--report", str(tmp_path / name)]

    assert main(argv) == ExitCode.FAILED
    assert capfd.readouterr().err.startswith("error: --report ")
    assert fake.calls == []
    assert (tmp_path / "there.json").read_text() == "something of the user's"


def test_a_keyboard_interrupt_prints_one_line_and_exits_with_130(
    fake: FakePipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.act = raising(KeyboardInterrupt())

    assert main(["film.mp4", "-o", "out.mp4"]) == ExitCode.INTERRUPTED
    assert capfd.readouterr() == ("", "interrupted: the output was not written\n")


def test_signal_handlers_are_restored_after_a_command(fake: FakePipeline) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    main(["film.mp4", "-o", "out.mp4", "--quiet"])

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == ExitCode.OK
    assert capfd.readouterr() == (f"vidrestore {__version__}\n", "")


@pytest.mark.parametrize(
    "argv", [["--help"], *([command, "--help"] for command in ("info", "weights", "train"))]
)
def test_help_exits_with_0(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == ExitCode.OK
    assert "usage: vidrestore" in capfd.readouterr().out


@pytest.mark.parametrize("words", [[], ["batch"], ["info"], ["review"], ["train"], ["verify"]])
def test_no_help_text_contains_the_word_none(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == ExitCode.OK
    assert "None" not in capfd.readouterr().out


WORK_THAT_HANGS = """
import signal, sys, time
from pathlib import Path
from types import ModuleType
from vidrestore.cli import main

def restore_video(source, output, *, settings, job, on_progress, on_download):
    beside = Path(str(output) + ".part")
    beside.write_text("half a film")
    try:
        print("working", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(0.5)
        beside.unlink()

run = ModuleType("vidrestore.jobs.run")
run.restore_video = restore_video
sys.modules["vidrestore.jobs.run"] = run
job_folder = ModuleType("vidrestore.jobs.store.job_folder")
job_folder.count_finished_segments = lambda output: 0
job_folder.job_folder_path = Path
sys.modules["vidrestore.jobs.store.job_folder"] = job_folder
if sys.argv[2] == "ignored":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
else:
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main([sys.executable, "-o", sys.argv[1]]))
"""


def python(*words: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "interrupted: the output was not written\n"),
        (signal.SIGTERM, 143, "ended by SIGTERM: the output was not written\n"),
    ],
)
def test_a_signal_stops_the_work_cleanly_even_if_sent_twice(
    tmp_path: Path, number: signal.Signals, code: int, line: str
) -> None:
    with python("-c", WORK_THAT_HANGS, str(tmp_path / "out.mp4"), "heeded") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(number)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (code, line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_ignored_by_the_parent_process_is_ignored(tmp_path: Path) -> None:
    with python("-c", WORK_THAT_HANGS, str(tmp_path / "out.mp4"), "ignored") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert process.returncode == 143


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_closed_pipe_ends_quietly() -> None:
    with python(
        "-c", "import sys; from vidrestore.cli import main; sys.exit(main(['weights', 'list']))"
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(timeout=30)

    assert (process.returncode, err) == (141, "")


def test_python_m_runs_the_command() -> None:
    with python("-m", "vidrestore", "--version") as process:
        out, err = process.communicate(timeout=30)

    assert (out, err, process.returncode) == (f"vidrestore {__version__}\n", "", 0)


def test_the_openmp_wait_policy_is_set_before_torch_is_loaded() -> None:
    code = """
import os, sys
import vidrestore.cli
vidrestore.cli.main = lambda argv: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
vidrestore.cli.entry_point()
"""
    with python("-c", code) as process:
        out, _ = process.communicate(timeout=30)

    assert out == "PASSIVE False\n"
