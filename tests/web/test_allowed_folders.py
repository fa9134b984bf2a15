from pathlib import Path

import pytest

from vidrestore.errors import ConfigError
from vidrestore.web.allowed_folders import AllowedFolders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "films"
    (inside / "reel 1").mkdir(parents=True)
    for name in ("a.mkv", "reel 1/b.mp4", "reel 1/notes.txt", ".hidden.mkv", "still.png"):
        (inside / name).write_bytes(b"x")
    (tmp_path / "films2").mkdir()
    (tmp_path / "films2" / "near.mkv").write_bytes(b"x")
    (tmp_path / "secret.mkv").write_bytes(b"x")
    return inside


@pytest.mark.parametrize(
    "text", ["a.mkv", "reel 1/b.mp4", "reel 1", "./reel 1/../a.mkv", " a.mkv "]
)
def test_files_inside_allowed_folders_are_accepted(folder: Path, text: str) -> None:
    allowed = AllowedFolders([folder])

    assert allowed.resolve(text) == (folder / text.strip()).resolve()
    assert allowed.resolve(str(folder / text.strip())) == (folder / text.strip()).resolve()


@pytest.mark.parametrize(
    "text",
    [
        "../secret.mkv",
        "../films2/near.mkv",
        "reel 1/../../secret.mkv",
        "/etc/passwd",
        "missing.mkv",
        "",
        "  ",
        "a.mkv\0.png",
        "x" * 5000,
        "~",
        "file:///etc/passwd",
        "http://127.0.0.1/a.mkv",
        "..",
        "a.mkv/../../secret.mkv",
    ],
)
def test_files_outside_allowed_folders_are_refused(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="no such file in the folders"):
        AllowedFolders([folder]).resolve(text)


def test_links_to_outside_are_refused_and_links_inside_are_accepted(
    folder: Path,
) -> None:
    (folder / "out.mkv").symlink_to(folder.parent / "secret.mkv")
    (folder / "up").symlink_to(folder.parent)
    (folder / "in.mkv").symlink_to(folder / "a.mkv")
    (folder / "loop.mkv").symlink_to(folder / "loop.mkv")
    allowed = AllowedFolders([folder])

    for text in ("out.mkv", "up/secret.mkv", "loop.mkv"):
        with pytest.raises(ConfigError):
            allowed.resolve(text)
    assert allowed.resolve("in.mkv") == folder / "a.mkv"


def test_the_error_does_not_reveal_files_outside(folder: Path) -> None:
    allowed = AllowedFolders([folder])
    messages: set[str] = set()
    for text in ("../secret.mkv", "../absent.mkv"):
        with pytest.raises(ConfigError) as caught:
            allowed.resolve(text)
        messages.add(str(caught.value).replace(text, ""))

    assert len(messages) == 1


def test_an_allowed_folder_may_be_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)

    assert AllowedFolders([link]).resolve("a.mkv") == folder / "a.mkv"


def test_films_are_listed_without_hidden_files_up_to_the_limit(folder: Path) -> None:
    allowed = AllowedFolders([folder, folder.parent / "films2"])

    assert allowed.films(limit=10) == [
        str(folder / "a.mkv"),
        str(folder / "still.png"),
        str(folder / "reel 1" / "b.mp4"),
        str(folder.parent / "films2" / "near.mkv"),
    ]
    assert len(allowed.films(limit=2)) == 2


def test_an_allowed_folder_that_is_not_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        AllowedFolders([folder / "a.mkv"])
