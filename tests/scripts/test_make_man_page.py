"""The manual page is that of these settings, and troff has nothing to say against it."""

import shutil
import subprocess
from typing import Any

import pytest
from support.golden import ROOT, load_script

from vidrestore import JobSettings, RestoreSettings
from vidrestore.settings import settings_of

make_man_page: Any = load_script(ROOT / "scripts" / "make_man_page.py")


def test_the_page_is_up_to_date() -> None:
    page = make_man_page.PAGE.read_text(encoding="ascii")

    assert page == make_man_page.man_page(), "run: python scripts/make_man_page.py"


def test_every_option_is_on_the_page() -> None:
    page = make_man_page.man_page().replace(r"\-", "-")

    for owner in (RestoreSettings, JobSettings):
        for setting in settings_of(owner):
            assert f"\n\\fB{setting.flag}" in page or f", {setting.flag}" in page


def test_no_character_of_a_text_is_a_troff_command() -> None:
    assert make_man_page._text(r".it's \n -x") == r"\&.it\(aqs \en \-x"


def test_troff_reads_the_page_without_a_warning() -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("there is no groff here")
    command = [groff, "-man", "-Tutf8", "-P-cbou", "-ww", str(make_man_page.PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert "--track-strength" in done.stdout
