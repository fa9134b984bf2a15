"""The steps of a Dockerfile, carried out in a folder."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.golden import ROOT, load_script

build_in_chroot: Any = load_script(ROOT / "scripts" / "build_in_chroot.py")

DOCKERFILE = """\
# A comment.
FROM python:3
ARG INDEX=https://example.org
RUN first \\
    && second
WORKDIR /source
COPY one.txt two.txt ./
COPY tool tool
ENV HOUSE="a b" COLOR=red
USER 1000
WORKDIR /films
ENTRYPOINT ["program"]
CMD ["--help"]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what the script would run: the words of each command, its folder and its user."""
    context, root = tmp_path / "context", tmp_path / "root"
    (context / "tool" / "__pycache__").mkdir(parents=True)
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:\nme:x:1000:7::/home/me:\n")
    for name in ("one.txt", "two.txt", "tool/main.py", "tool/__pycache__/main.pyc"):
        (context / name).write_text(name)
    (context / ".dockerignore").write_text("**/__pycache__\n")
    (context / "Dockerfile").write_text(DOCKERFILE)
    monkeypatch.setattr(build_in_chroot, "CHECKOUT", context)
    seen: list[tuple[Any, ...]] = []

    def note(image: Any, words: Sequence[str], variables: dict[str, str] | None = None) -> None:
        settings = {**image.environment, **(variables or {})}
        seen.append((list(words), image.folder, image.account(), settings))

    monkeypatch.setattr(build_in_chroot.Image, "run", note)

    def run(*words: str) -> list[tuple[Any, ...]]:
        monkeypatch.setattr(sys, "argv", ["build_in_chroot.py", str(root), *words])
        build_in_chroot.main()
        return seen

    return run


def test_the_steps_are_carried_out_in_order(run: Any, tmp_path: Path) -> None:
    step, entry = run("--build-arg", "INDEX=file:///index")

    arguments, folder, account, settings = step
    assert arguments == ["/bin/sh", "-c", "first && second"]
    assert (folder, account) == ("/", ("0", "0", "/root"))
    assert settings["INDEX"] == "file:///index"
    arguments, folder, account, settings = entry
    assert arguments == ["program", "--help"]
    assert (folder, account) == ("/films", ("1000", "7", "/home/me"))
    assert (settings["HOUSE"], settings["COLOR"]) == ("a b", "red")
    assert "INDEX" not in settings
    copied = tmp_path / "root" / "source"
    files = {str(path.relative_to(copied)) for path in copied.rglob("*") if path.is_file()}
    assert files == {"one.txt", "two.txt", "tool/main.py"}


def test_the_entry_point_takes_words_and_another_user(run: Any, tmp_path: Path) -> None:
    (entry,) = run("--no-build", "--user", "4321", "--", "film.mkv", "-o", "x.mkv")

    assert entry[0] == ["program", "film.mkv", "-o", "x.mkv"]
    assert entry[2] == ("4321", "0", "/")
    assert not (tmp_path / "root" / "source" / "one.txt").exists()


def test_an_unknown_instruction_ends_the_build(run: Any) -> None:
    path = build_in_chroot.CHECKOUT / "Dockerfile"
    path.write_text(path.read_text() + "HEALTHCHECK NONE\n")

    with pytest.raises(SystemExit, match="HEALTHCHECK"):
        run()


def test_the_steps_of_our_dockerfile_are_known() -> None:
    names = {name for name, _ in build_in_chroot.instructions((ROOT / "Dockerfile").read_text())}

    assert {"FROM", "RUN", "COPY", "USER", "ENTRYPOINT"} <= names
    assert names <= {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
