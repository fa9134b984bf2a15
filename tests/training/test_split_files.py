"""Joined files equal the originals; damaged parts are refused."""

import json
from pathlib import Path

import pytest

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.training.split_files import join_file, split_file


@pytest.fixture
def list_path(tmp_path: Path) -> Path:
    path = tmp_path / "last.pt"
    path.write_bytes(bytes(range(256)) * 10)
    return split_file(path, part_bytes=1000)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.[0-9][0-9][0-9]"))


@pytest.mark.parametrize("content", [b"", b"a", b"abc" * 100])
def test_a_joined_file_equals_the_original(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    list_path = split_file(path, part_bytes=100)
    assert all(part.stat().st_size <= 100 for part in parts(tmp_path))
    path.unlink()
    assert join_file(list_path) == path
    assert path.read_bytes() == content


def test_a_truncated_part_is_named_and_nothing_is_written(list_path: Path) -> None:
    path = list_path.with_name("last.pt")
    path.unlink()
    part = parts(list_path.parent)[1]
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=rf"{part.name}: 999 bytes of 1000"):
        join_file(list_path)
    assert not path.exists()


def test_a_missing_or_changed_part_is_named(list_path: Path) -> None:
    first, second, _ = parts(list_path.parent)
    second.write_bytes(b"x" * 1000)
    with pytest.raises(WeightsError, match=rf"{second.name}: the checksum"):
        join_file(list_path)
    first.unlink()
    with pytest.raises(WeightsError, match=rf"{first.name}: cannot read this part"):
        join_file(list_path)


def test_invalid_lists_are_refused(list_path: Path) -> None:
    entry = json.loads(list_path.read_text())
    for name in ("../last.pt", "/etc/passwd", ""):
        list_path.write_text(json.dumps(entry | {"name": name}))
        with pytest.raises(WeightsError, match="not a list of the parts"):
            join_file(list_path)
    for changes in ({"parts": 3}, {"parts": [None]}, {"parts": []}):
        list_path.write_text(json.dumps(entry | changes))
        with pytest.raises(WeightsError):
            join_file(list_path)
    list_path.write_text("[")
    with pytest.raises(WeightsError, match="not a readable list"):
        join_file(list_path)


def test_a_new_file_replaces_the_parts_of_the_old_one(list_path: Path) -> None:
    path = list_path.with_name("last.pt")
    path.write_bytes(b"short")
    split_file(path, part_bytes=1000)
    assert len(parts(list_path.parent)) == 1
    assert join_file(list_path).read_bytes() == b"short"


def test_parts_of_size_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="part_bytes"):
        split_file(tmp_path / "any", part_bytes=0)
