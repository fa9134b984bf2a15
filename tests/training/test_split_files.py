"""Files in parts come back as they were, or not at all."""

import json
from pathlib import Path

import pytest

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.training.split_files import join_file, split_file


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "last.pt"
    path.write_bytes(bytes(range(256)) * 10)
    return split_file(path, part_bytes=1000)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.[0-9][0-9][0-9]"))


@pytest.mark.parametrize("content", [b"", b"a", b"abc" * 100])
def test_a_file_is_put_together_as_it_was(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    found = split_file(path, part_bytes=100)
    assert all(part.stat().st_size <= 100 for part in parts(tmp_path))
    path.unlink()
    assert join_file(found) == path
    assert path.read_bytes() == content


def test_a_truncated_part_is_named_and_nothing_written(listed: Path) -> None:
    whole = listed.with_name("last.pt")
    whole.unlink()
    part = parts(listed.parent)[1]
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=rf"{part.name}: 999 bytes of 1000"):
        join_file(listed)
    assert not whole.exists()


def test_a_missing_or_changed_part_is_named(listed: Path) -> None:
    first, second, _ = parts(listed.parent)
    second.write_bytes(b"x" * 1000)
    with pytest.raises(WeightsError, match=rf"{second.name}: its checksum"):
        join_file(listed)
    first.unlink()
    with pytest.raises(WeightsError, match=rf"{first.name}: a part that cannot be read"):
        join_file(listed)


def test_a_list_is_not_trusted(listed: Path) -> None:
    entry = json.loads(listed.read_text())
    for bad in ("../last.pt", "/etc/passwd", ""):
        listed.write_text(json.dumps(entry | {"name": bad}))
        with pytest.raises(WeightsError, match="not a list of the parts"):
            join_file(listed)
    for bad in ({"parts": 3}, {"parts": [None]}, {"parts": []}):
        listed.write_text(json.dumps(entry | bad))
        with pytest.raises(WeightsError):
            join_file(listed)
    listed.write_text("[")
    with pytest.raises(WeightsError, match="not a readable list"):
        join_file(listed)


def test_a_later_file_replaces_the_parts_of_an_earlier(listed: Path) -> None:
    path = listed.with_name("last.pt")
    path.write_bytes(b"short")
    split_file(path, part_bytes=1000)
    assert len(parts(listed.parent)) == 1
    assert join_file(listed).read_bytes() == b"short"


def test_parts_of_no_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="part_bytes"):
        split_file(tmp_path / "any", part_bytes=0)
