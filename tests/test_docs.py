"""README and docs: their commands run, their links lead somewhere, their options exist.

What can run offline and quickly is run, in this process, on small films. What needs a network, a
GPU, Ray, minutes or data is parsed by the program's own parser and goes no further.
"""

import argparse
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import pytest
import tyro
from support.clips import Clip, Sound, make_clip
from support.docpages import PAGES, Command, anchors, blocks, cells, commands, prose, rows
from support.faceclips import FACE_SIZE_HW, face_picture
from support.fake_restorer import load_fake_restorer
from support.golden import ROOT

import vidrestore
import vidrestore.types
from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.parsing.help_text import default_text
from vidrestore.cli.restore import RestoreCommand, parse_restore
from vidrestore.pipeline import setup
from vidrestore.settings import GROUPS, PROFILES, JobSettings, RestoreSettings, Setting, settings_of

README = ROOT / "README.md"
NOTEBOOK = ROOT / "examples" / "restored_frames.ipynb"
COMMANDS = commands()
SUBCOMMANDS = (
    *("batch", "info", "review", "verify", "profiles", "web", "weights", "train", "tune"),
    "completions",
)  # fmt: skip
QUICK_SCRIPTS = ("look.py", "measure_visible.py")
FOREIGN_OPTIONS = {
    *("--no-", "--no-verify", "--no-deps", "--extra-index-url"),
    *("--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint"),
}
FOREIGN_OPTIONS |= {"--pip-args", "--from", "--build-arg", "--rm", "--gpus", "--user"}
"""Options of pip, pipx, uvx, docker and torchrun, and the opposite of a switch."""


class ParsedError(BaseException):
    """Ends a program once its command line was understood; no program catches it."""


def is_quick(command: Command) -> bool:
    """Whether a command of ours is run, and not only parsed."""
    program, *arguments = command.words
    if program == "python":
        return Path(arguments[0]).name in QUICK_SCRIPTS
    if (
        arguments[0] in ("train", "tune", "weights")
        and arguments[1:2] != ["path"]
        and arguments[1:2] != ["list"]
    ):
        return False
    model = arguments[arguments.index("--model") + 1] if "--model" in arguments else "lite"
    return model == "lite" and "ray" not in arguments


QUICK = [
    command
    for command in COMMANDS
    if command.words[0] in ("vidrestore", "python") and is_quick(command)
]
PARSED = [
    command
    for command in COMMANDS
    if command.words[0] in ("vidrestore", "python", "torchrun") and command not in QUICK
]
OTHERS = [command for command in COMMANDS if command not in QUICK and command not in PARSED]


def film(path: Path, frames: int = 2, **changes: Any) -> Path:
    clip: dict[str, Any] = {
        "ticks": range(frames),
        "size_hw": FACE_SIZE_HW,
        "picture": face_picture,
        "sounds": (Sound(),),
        **changes,
    }
    return make_clip(path, Clip(**clip))


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file that the commands read, and a result of the film with its record."""
    folder = tmp_path_factory.mktemp("media")
    film(folder / "film.mkv")
    shutil.copy(folder / "film.mkv", folder / "copy.mkv")
    (folder / "reels").mkdir()
    shutil.copy(folder / "film.mkv", folder / "reels" / "one.mkv")
    (folder / "frames").mkdir()
    picture = face_picture(0, FACE_SIZE_HW)[:, :, ::-1]
    cv2.imwrite(str(folder / "frames" / "0001.png"), picture)
    cv2.imwrite(str(folder / "portrait.tif"), picture)
    (folder / "examples").mkdir()
    shutil.copy(folder / "film.mkv", folder / "examples" / "astronaut.mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "load_restorer", load_fake_restorer)
        arguments = ["film.mkv", "-o", "restored.mkv", "--record", "r.jsonl"]
        patch.chdir(folder)
        assert main([*arguments, "--quiet"]) == 0
    return folder


@pytest.fixture
def working_folder(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with these files; no weights are there, and none are fetched."""
    place = tmp_path / "work"
    shutil.copytree(media, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path / "weights"))
    return place


def run_program(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run ``vidrestore`` or a script in this process and return its exit code."""
    program, *arguments = words
    if program == "vidrestore":
        return main(arguments)
    script = ROOT / arguments[0]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.syspath_prepend(str(script.parent))  # as Python does
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0


@pytest.mark.parametrize("command", QUICK, ids=str)
def test_quick_commands_of_the_docs_run(
    command: Command, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = list(command.words)
    if arguments[0] == "vidrestore" and arguments[1] not in ("verify", "review"):
        for output_name in ("restored.mkv", "r.jsonl"):
            (working_folder / output_name).unlink()
    if "--start" in arguments:  # this one names a time beyond the first minute
        (working_folder / "film.mkv").unlink()
        film(
            working_folder / "film.mkv", 70, time_base=Fraction(2), rate=1, sounds=(), picture=None
        )
    if command.page != "README":  # the README's run with the real network
        monkeypatch.setattr(setup, "load_restorer", load_fake_restorer)

    assert run_program(arguments, monkeypatch) == 0
    if "-o" in arguments and "--dry-run" not in arguments:
        assert (working_folder / arguments[arguments.index("-o") + 1]).exists()


@pytest.mark.parametrize("command", PARSED, ids=str)
def test_slow_commands_of_the_docs_are_parsed(
    command: Command, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(parse: Callable[..., Any]) -> Callable[..., Any]:
        def parse_and_stop(*arguments: Any, **options: Any) -> Any:
            parse(*arguments, **options)
            raise ParsedError

        return parse_and_stop

    monkeypatch.setattr(tyro, "cli", stopping(tyro.cli))
    parser = argparse.ArgumentParser
    monkeypatch.setattr(parser, "parse_args", stopping(parser.parse_args))
    words = command.words
    if words[0] == "torchrun":
        words = ("python", *words[words.index("scripts/train.py") :])

    with pytest.raises(ParsedError):
        run_program(words, monkeypatch)
    for word in words:
        if word.startswith(("configs/", "scripts/")):
            assert (ROOT / word).is_file()


@pytest.mark.parametrize("command", OTHERS, ids=str)
def test_commands_of_other_programs_are_valid(command: Command, working_folder: Path) -> None:
    program, *words = command.words
    if program == "ffmpeg":
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        done = subprocess.run([ffmpeg, *words], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("#format: frame checksums")
    elif program == "docker":
        arguments = re.findall(
            r"^ARG (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE
        )
        assert set(re.findall(r"--build-arg (\w+)=", " ".join(words))) <= {*arguments}
        if "run" in words:
            image = next(word for word in words if word.startswith("vidrestore"))
            parse_restore(words[words.index(image) + 1 :])
    elif program == "uvx":
        parse_restore(words[words.index("vidrestore") + 1 :])
    elif program == "eval":
        assert main(shlex.split(words[0].strip("$()"))[1:]) == 0
    elif program in ("pip", "pipx"):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        for extras in re.findall(r"\[([\w,]+)\]", " ".join(words)):
            assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    elif program != "pytest":
        assert os.access(ROOT / program, os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_code_of_the_docs_runs(
    page: Path, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "load_restorer", load_fake_restorer)
    for block in blocks(page, "python"):
        (working_folder / "restored.mkv").unlink(missing_ok=True)

        exec(compile(block, page.name, "exec"), {})

        assert (working_folder / "restored.mkv").is_file() or "restore_video(" not in block


def test_the_notebook_runs(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "load_restorer", load_fake_restorer)
    shutil.copy("film.mkv", "astronaut.mp4")
    (working_folder / "restored.mkv").unlink()

    exec(compile("\n".join(cells(NOTEBOOK)), NOTEBOOK.name, "exec"), {})

    assert (working_folder / "restored.mkv").is_file()


def test_the_python_code_of_the_docs_passes_type_checks(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    code = {
        f"{page.stem}_{n}": block
        for page in PAGES
        for n, block in enumerate(blocks(page, "python"))
    }
    code["notebook"] = "\n".join(cells(NOTEBOOK))
    for name, text in code.items():
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    options = {
        **project,
        "include": ["."],
        "extraPaths": [str(ROOT)],
        "reportUnusedExpression": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(options), "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_every_exit_code_is_in_the_table() -> None:
    table = rows(ROOT / "docs" / "usage.md", "Exit codes")

    assert [int(code) for code, _ in table] == [*ExitCode]


def test_the_container_image_is_installed_as_documented() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    copied = {
        name for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.M) for name in line.split()
    }

    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "vidrestore"} <= copied
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    files = [name for names in setuptools["data-files"].values() for name in names]
    assert {name.split("/", 1)[0] for name in files} <= copied
    index = re.findall(r"^ARG TORCH_INDEX=(\S+)", dockerfile, re.MULTILINE)
    assert f"pip install --extra-index-url {index[0]} ." in (ROOT / "docs/usage.md").read_text(
        "utf-8"
    )


def test_every_error_is_in_the_table_of_errors() -> None:
    section = (ROOT / "docs" / "usage.md").read_text("utf-8").split("### Errors and progress", 1)[1]
    listed = re.findall(r"^\| `(\w+)`", section.split("\n## ", 1)[0], re.MULTILINE)
    tree = {name for name in vidrestore.__all__ if name.endswith("Error")}

    assert {*listed} == tree - {"VidrestoreError"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_paths_of_the_docs_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target
    text = page.read_text("utf-8")
    for path in re.findall(
        r"(?<![\w./])(?:vidrestore|scripts|tests|configs|examples)/[\w./]+", text
    ):
        assert (ROOT / path.rstrip(".")).exists(), path


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").split()) < 1000


def test_every_option_in_the_docs_exists(capsys: pytest.CaptureFixture[str]) -> None:
    for subcommand in ([], *([name] for name in SUBCOMMANDS)):
        main([*subcommand, "--help"])
    main(["weights", "fetch", "--help"])
    sources = [capsys.readouterr().out]
    sources += [path.read_text("utf-8") for path in (ROOT / "scripts").rglob("*.py")]
    options = {option for text in sources for option in re.findall(r"--[a-z][\w-]*", text)}

    for page in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", page.read_text("utf-8")))
        assert named <= options | FOREIGN_OPTIONS, page.name


def option_table() -> str:
    """Return the table of options as Markdown."""
    settings = [
        setting
        for owner in (RestoreCommand, RestoreSettings, JobSettings)
        for setting in settings_of(owner)
        if not setting.option.positional
    ]
    lines = ["| option | default | what it does |", "| --- | --- | --- |"]
    for group in GROUPS:
        lines.append(f"| **{group}** | | |")
        lines += [option_row(setting) for setting in settings if setting.option.group == group]
    return "\n".join(lines) + "\n"


def option_row(setting: Setting) -> str:
    option = setting.option
    metavar = setting.metavar.replace("|", "\\|")
    names = f"`{setting.flag} {metavar}`" if metavar else f"`{setting.flag}`"
    if option.short:
        names = f"`{option.short} {metavar}`, {names}"
    default = default_text(setting)
    if setting.default not in (MISSING, None, ()) and not isinstance(setting.default, bool):
        default = f"`{default}`"
    text = option.help
    if option.see:
        page, _, anchor = option.see.partition("#")
        title = anchor.replace("-", " ") or Path(page).stem
        text += f" See [{title}]({'#' + anchor if page == 'usage.md' else option.see})."
    return f"| {names} | {default} | {text} |".replace("|  |", "| |")


def profile_table() -> str:
    """Return the table of profiles as Markdown."""
    lines = [
        "| profile | options | what it is for, and what it costs |",
        "| --- | --- | --- |",
    ]
    for name, profile in PROFILES.items():
        options = profile.option_words()
        set_here = f"`{' '.join(options)}`" if options else "the defaults"
        lines.append(f"| `{name}` | {set_here} | {profile.help} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("table", [option_table, profile_table], ids=lambda value: value.__name__)
def test_tables_of_settings_equal_the_settings(table: Callable[[], str]) -> None:
    page = ROOT / "docs" / "usage.md"
    text, expected = page.read_text("utf-8"), table()
    start = text.index(expected.partition("\n")[0])
    end = text.index("\n\n", start) + 1
    if os.environ.get("VIDRESTORE_WRITE_TABLES"):
        page.write_text(text[:start] + expected + text[end:], "utf-8")
    result = text[start:end]
    assert result == expected, "run this with VIDRESTORE_WRITE_TABLES=1 to rewrite the table"


def test_the_project_file_of_the_docs_is_valid(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "docs" / "usage.md", "toml")
    (tmp_path / "vidrestore.toml").write_text(example, "utf-8")
    _, arguments = parse_restore([str(tmp_path / "film.mkv"), "-o", "out.mkv"])

    assert arguments.typed.strength == 0.9
    assert arguments.typed.codec == "ffv1"
    assert arguments.typed.drop_unsupported


def test_the_table_of_layers_equals_the_tested_one() -> None:
    layers = runpy.run_path(str(ROOT / "tests" / "test_layers.py"))["LAYERS"]
    table = rows(ROOT / "docs" / "development.md", "Layers")

    assert {
        module: int(layer)
        for layer, modules, _ in table
        for module in re.findall(r"`(\w+)`", modules)
    } == layers


def test_the_diagram_has_the_names_of_the_values() -> None:
    (drawing,) = blocks(ROOT / "docs" / "how-it-works.md", "")
    named = set(re.findall(r"\b(?:[A-Z]\w+)?(?:Frame|Face)\b", drawing))

    assert {"Frame", "TrackedFrame", "AlignedFrame", "RestoredFrame", "FinishedFrame"} <= named
    assert all(hasattr(vidrestore.types, name) for name in named)


def test_names_in_the_development_guides_exist_in_the_files_they_name() -> None:
    text = (ROOT / "docs" / "development.md").read_text("utf-8")
    guides = text.split("\n## Add a ", 1)[1].split("\n## Scripts", 1)[0]
    checked = 0
    for item in re.split(r"\n(?=\d\. |\n)", guides):
        paths = [
            ROOT / path for path in re.findall(r"`((?:vidrestore|tests|scripts)/[\w./]+)`", item)
        ]
        modules = [file for path in paths for file in [path, *path.rglob("*.py")] if file.is_file()]
        code = "\n".join(file.read_text("utf-8") for file in modules if file.suffix == ".py")
        for name in re.findall(r"`(_?[A-Za-z]\w+)`", item):
            assert not code or re.search(rf"\b{name}\b", code), f"{name}: {item}"
            checked += bool(code)
    assert checked > 15
