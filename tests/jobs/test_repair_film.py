"""A run with ``--repair``: confirmed by ``verify``, and the same bytes when resumed."""

from fractions import Fraction
from pathlib import Path

import cv2
import pytest
from support.clips import Clip, make_clip
from support.oldfilm import HW, damaged_picture

from vidrestore import ConfigError, JobSettings, RestoreSettings, restore_video
from vidrestore.record import RecordReader
from vidrestore.verify import verify

FRAMES = 30
SETTINGS = RestoreSettings(
    codec="ffv1", device="cpu", precision="fp32", repair=("dust", "scratches", "flicker")
)
SHORT = JobSettings(segment_seconds=0.2)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("film") / "film.mkv",
        Clip(
            ticks=tuple(range(FRAMES)),
            size_hw=HW,
            codec="ffv1",
            options={"g": "6"},
            picture=damaged_picture,
        ),
    )


def test_a_repaired_film_verifies_and_a_resumed_repair_gives_the_same_bytes(
    film: Path, tmp_path: Path
) -> None:
    whole, record = tmp_path / "whole.mkv", tmp_path / "whole.jsonl"
    settings = RestoreSettings(
        codec="ffv1", device="cpu", precision="fp32", repair=SETTINGS.repair, record=record
    )
    report = restore_video(film, whole, settings=settings, job=SHORT)
    with RecordReader(record) as reader:
        repairs = [frame.repair for frame in reader]
    checks = {check.name: check for check in verify(film, whole, evidence_paths=[record]).checks}

    assert report.repairs["specks"] > FRAMES / 2
    assert report.repairs["frames with flicker"] > FRAMES / 2
    assert sum(repair is not None for repair in repairs) > FRAMES / 2
    assert checks["samples outside masks"].result == "kept"
    assert "repaired as recorded" in checks["samples outside masks"].detail

    stopped = tmp_path / "stopped.mkv"

    class StopError(Exception):
        pass

    def stop(progress: object) -> None:
        if getattr(progress, "frames_done", 0) >= 20:
            raise StopError

    job = JobSettings(segment_seconds=0.2, resume=True)
    with pytest.raises(StopError):
        restore_video(film, stopped, settings=SETTINGS, job=SHORT, on_progress=stop)
    restore_video(film, stopped, settings=SETTINGS, job=job)
    assert stopped.read_bytes() == whole.read_bytes()


def test_verification_reports_a_change_the_record_does_not_have(film: Path, tmp_path: Path) -> None:
    """The film as it was is no result of a repair: its brightness is not as recorded."""
    whole, record = tmp_path / "whole.mkv", tmp_path / "whole.jsonl"
    settings = RestoreSettings(
        codec="ffv1",
        device="cpu",
        precision="fp32",
        repair=("flicker",),
        record=record,
        end_seconds=Fraction(3, 5),
    )
    restore_video(film, whole, settings=settings, job=SHORT)
    plain = tmp_path / "plain.mkv"
    restore_video(
        film,
        plain,
        settings=RestoreSettings(
            codec="ffv1", device="cpu", precision="fp32", end_seconds=Fraction(3, 5)
        ),
        job=SHORT,
    )
    checks = {check.name: check for check in verify(film, plain, evidence_paths=[record]).checks}

    assert checks["samples outside masks"].result == "changed"


def test_a_single_image_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), damaged_picture(0, HW))

    with pytest.raises(ConfigError, match="--repair compares frames"):
        restore_video(image, tmp_path / "out.png", settings=SETTINGS)
