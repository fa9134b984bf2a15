"""``vidrestore completions``: what a shell offers after the words that are typed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from vidrestore import RestoreSettings
from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.settings import settings_of

ASK = {
    "bash": """
source ./script
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_vidrestore vidrestore "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "zsh": """
source ./script
COMP_WORDS=("$@")
_vidrestore vidrestore "${@[-1]}" "${@[-2]}"
print -l -- $COMPREPLY
""",
    "fish": "source ./script; complete -C (string join ' ' -- $argv)",
}


def completions_of(shell: str, folder: Path, words: list[str]) -> set[str]:
    requested = ["--", *words] if shell == "fish" else [shell, *words]
    done = subprocess.run(
        [shell, "-c", ASK[shell], *requested],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    lines = {line.partition("\t")[0] for line in done.stdout.splitlines()}
    # Outside its line editor, zsh does not leave out what does not begin as typed.
    return {line for line in lines if shell != "zsh" or line.startswith(words[-1])}


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    assert main(["completions", request.param]) == ExitCode.OK
    (tmp_path / "script").write_text(capsys.readouterr().out, "utf-8")
    (tmp_path / "film.mkv").touch()
    return request.param


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vidrestore ba", {"batch"}),
        ("vidrestore fi", {"film.mkv"}),
        ("vidrestore film.mkv --dry", {"--dry-run"}),
        ("vidrestore film.mkv --codec f", {"ffv1"}),
        ("vidrestore film.mkv --scale 4", {"4"}),
        ("vidrestore film.mkv --profile s", {"sharp"}),
        ("vidrestore film.mkv -o fi", {"film.mkv"}),
        ("vidrestore film.mkv --model fi", {"film.mkv"}),
        ("vidrestore batch reels --end", {"--ending", "--end"}),
        ("vidrestore batch reels --only", set[str]()),
        ("vidrestore verify a b --rec", {"--record"}),
        ("vidrestore verify a b --record fi", {"film.mkv"}),
        ("vidrestore weights fe", {"fetch"}),
        ("vidrestore completions z", {"zsh"}),
    ],
)
def test_each_shell_completes_the_expected_words(
    shell: str, tmp_path: Path, line: str, expected: set[str]
) -> None:
    assert completions_of(shell, tmp_path, line.split()) - {""} == expected


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_completion_script_has_every_option(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["completions", name])
    text = capsys.readouterr().out

    for setting in settings_of(RestoreSettings):
        assert (f"-l {setting.flag[2:]} " if name == "fish" else f"{setting.flag} ") in text
