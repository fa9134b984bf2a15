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


def test_a_non_commercial_license_is_said_once_and_remembered_in_the_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "weights"
    warn_non_commercial(weights_entry("codeformer"), folder)
    warn_non_commercial(weights_entry("codeformer"), folder)

    assert [record.getMessage() for record in caplog.records] == [NOTICE]
    assert (folder / "codeformer.pth.licence").read_text() == NOTICE + "\n"


def test_another_license_is_said_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry = weights_entry("codeformer")
    warn_non_commercial(entry, tmp_path)
    warn_non_commercial(replace(entry, license="S-Lab 2.0"), tmp_path)

    assert len(caplog.records) == 2
    assert "S-Lab 2.0" in caplog.text


def test_nothing_is_said_of_other_licenses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_non_commercial(weights_entry("gfpgan-1.4"), tmp_path)

    assert not caplog.records
    assert not list(tmp_path.iterdir())


def test_what_nobody_hears_is_not_remembered_as_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="vidrestore"):
        warn_non_commercial(weights_entry("codeformer"), tmp_path)

    assert not caplog.records
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_does_not_stop_the_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "weights"
    in_the_way.write_text("a file")
    warn_non_commercial(weights_entry("codeformer"), in_the_way)

    assert NOTICE in caplog.text


def test_a_published_file_is_known_by_its_name_anywhere(tmp_path: Path) -> None:
    assert entry_for_file(tmp_path / "codeformer.pth") == weights_entry("codeformer")
    assert entry_for_file(tmp_path / "mine.pth") is None
