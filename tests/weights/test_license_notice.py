import logging
from dataclasses import replace
from pathlib import Path

import pytest

from vidrestore.weights.license_notice import entry_for_file, warn_non_commercial
from vidrestore.weights.manifest import weights_entry

NOTICE = (
    "codeformer: codeformer.pth is licensed by S-Lab, Nanyang Technological University "
    "(S-Lab 1.0): not for commercial use"
)


def test_a_non_commercial_license_is_logged_once_and_recorded_in_the_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "weights"
    warn_non_commercial(weights_entry("codeformer"), folder)
    warn_non_commercial(weights_entry("codeformer"), folder)

    assert [record.getMessage() for record in caplog.records] == [NOTICE]
    assert (folder / "codeformer.pth.licence").read_text() == NOTICE + "\n"


def test_another_license_is_logged_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry = weights_entry("codeformer")
    warn_non_commercial(entry, tmp_path)
    warn_non_commercial(replace(entry, license="S-Lab 2.0"), tmp_path)

    assert len(caplog.records) == 2
    assert "S-Lab 2.0" in caplog.text


def test_other_licenses_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_non_commercial(weights_entry("gfpgan-1.4"), tmp_path)

    assert not caplog.records
    assert not list(tmp_path.iterdir())


def test_a_notice_below_the_log_level_is_not_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="vidrestore"):
        warn_non_commercial(weights_entry("codeformer"), tmp_path)

    assert not caplog.records
    assert not list(tmp_path.iterdir())


def test_a_read_only_folder_does_not_prevent_the_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "weights"
    in_the_way.write_text("a file")
    warn_non_commercial(weights_entry("codeformer"), in_the_way)

    assert NOTICE in caplog.text


def test_a_published_file_is_recognized_by_its_name_in_any_folder(tmp_path: Path) -> None:
    assert entry_for_file(tmp_path / "codeformer.pth") == weights_entry("codeformer")
    assert entry_for_file(tmp_path / "mine.pth") is None
