"""What a resumed run must find as it was: the network for the whole picture is part of it."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from support.clips import make_clip
from support.zoo import compact_file

from vidrestore import JobSettings, RestoreSettings
from vidrestore.devices import resolve_precision
from vidrestore.jobs.estimate import dry_run
from vidrestore.jobs.store.fingerprint import Machine, job_fingerprint, this_machine
from vidrestore.media.input.video_info import VideoInfo, probe
from vidrestore.settings import parse_track_strengths
from vidrestore.weights import bundled

PRECISION = "bf16" if resolve_precision("auto", torch.device("cpu")) == torch.bfloat16 else "fp32"


@pytest.fixture
def info(tmp_path: Path) -> VideoInfo:
    return probe(make_clip(tmp_path / "film.mkv"))


def identity(info: VideoInfo, **settings: object) -> dict[str, str]:
    chosen = RestoreSettings(**{"device": "cpu", **settings})  # type: ignore[arg-type]
    return job_fingerprint(
        info, chosen, JobSettings(), this_machine(chosen.device, chosen.precision)
    )


def changed_keys(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def test_the_fingerprint_includes_the_network_and_its_output_size(info: VideoInfo) -> None:
    plain, small = identity(info), identity(info, background="compact")

    assert changed_keys(plain, small) == {"--background", "--scale"}
    assert changed_keys(small, identity(info, background="compact", scale=2)) == {"--scale"}
    assert changed_keys(small, identity(info, background="realesrgan")) == {"--background"}


def test_the_fingerprint_includes_the_gpu_model_and_cudnn_version(info: VideoInfo) -> None:
    settings = RestoreSettings(device="cuda", batch_size=8)

    def on(gpu: str) -> dict[str, str]:
        machine = Machine(
            host="here", device="cuda:0", precision="torch.bfloat16", gpu=gpu, threads=2
        )
        return job_fingerprint(info, settings, JobSettings(), machine)

    assert changed_keys(on("H100, cuDNN 91002"), on("H100, cuDNN 91100")) == {"GPU"}
    assert changed_keys(on("H100, cuDNN 91002"), on("A100, cuDNN 91002")) == {"GPU"}


def test_replacing_a_weights_file_of_the_package_changes_the_fingerprint(
    info: VideoInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity(info)
    monkeypatch.setattr(bundled, "bundled_file", lambda name: nullcontext(tmp_path / name))
    names = {
        "lite.safetensors",
        "lite_small.safetensors",
        "prior.safetensors",
        "mobile_stylegan.safetensors",
    }
    for name in names:
        (tmp_path / name).write_bytes(b"other weights")

    after = identity(info)

    assert changed_keys(before, after) == {f"weights {name}" for name in names}
    assert changed_keys(after, identity(info, model="gfpgan-1.4")) == {
        "--model",
        *changed_keys(before, after),
    }


@pytest.mark.parametrize("setting", ["background", "model"])
def test_replacing_a_weights_file_changes_the_fingerprint(
    info: VideoInfo, tmp_path: Path, setting: str
) -> None:
    path = compact_file(tmp_path, 2)
    value = str(path) if setting == "model" else path
    before = identity(info, **{setting: value})
    compact_file(tmp_path, 2, seed=1)

    assert changed_keys(before, identity(info, **{setting: value})) == {f"--{setting}"}


@pytest.mark.parametrize("setting", ["background", "model"])
def test_two_spellings_of_one_weights_path_have_the_same_fingerprint(
    info: VideoInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    path = compact_file(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    kind = str if setting == "model" else Path
    spellings = (path, path.name, f"./{path.name}", f"~/{path.name}")

    first, *others = [identity(info, **{setting: kind(spelling)}) for spelling in spellings]

    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("typed", "other"),
    [
        ({"device": "auto"}, {"device": "cpu"}),
        ({"precision": "auto"}, {"precision": PRECISION}),
        ({"codec": "h264"}, {"codec": "h264", "crf": 16, "preset": "veryfast"}),
        ({"background": "compact"}, {"background": "compact", "scale": 1}),
        ({"batch_size": None}, {"batch_size": 4}),
        ({"min_face_px": 24}, {"min_face_px": 24.0}),
        ({"only_tracks": (5, 3, 3)}, {"only_tracks": (3, 5)}),
        (
            {"track_strengths": parse_track_strengths("5=0,3=1")},
            {"track_strengths": parse_track_strengths("3=1.0,5=0")},
        ),
        ({"record": Path("one.jsonl")}, {"record": Path("two.jsonl")}),
        ({}, {"overwrite": True, "framemd5": Path("sums")}),
    ],
    ids=str,
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="auto is a GPU here")
def test_settings_that_resolve_to_equal_values_have_the_same_fingerprint(
    info: VideoInfo, typed: dict[str, object], other: dict[str, object]
) -> None:
    assert changed_keys(identity(info, **typed), identity(info, **other)) == set()


def test_every_other_setting_changes_the_fingerprint(info: VideoInfo) -> None:
    before = identity(info)

    assert changed_keys(before, identity(info, strength=0.5)) == {"--strength"}
    own = identity(info, track_strengths=parse_track_strengths("3=0.5"))
    assert changed_keys(before, own) == {"--track-strength"}
    assert changed_keys(before, identity(info, crf=17)) == {"--crf"}
    assert changed_keys(before, identity(info, record=Path("r.jsonl"))) == {"--record"}


def test_a_dry_run_does_not_log_the_cost_of_every_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = make_clip(tmp_path / "film.mkv")
    settings = RestoreSettings(codec="ffv1", device="cpu", background="compact")
    dry_run(film, tmp_path / "out.mkv", settings=settings, job=JobSettings())

    assert not [message for message in caplog.messages if "a tile" in message]
