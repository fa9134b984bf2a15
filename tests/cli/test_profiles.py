"""``vidrestore profiles``: every profile, with the options that it stands for."""

import pytest

from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.settings import PROFILES


def test_the_profile_list_shows_what_each_profile_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles"]) == ExitCode.OK
    text = capsys.readouterr().out

    assert "archive: --detail 0 --codec ffv1 --verify\n" in text
    assert "watch: the defaults\n" in text
    assert "sharp: --detail 1\n" in text
    for profile in PROFILES.values():
        assert " ".join(profile.help.split()) in " ".join(text.split())
