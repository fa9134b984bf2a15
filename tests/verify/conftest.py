"""The film that verification is tried on."""

from pathlib import Path

import pytest
from support.clips import make_rich_clip
from support.verify_cases import restored_copy


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with streams, chapters and tags of many kinds."""
    return make_rich_clip(tmp_path_factory.mktemp("rich"))


@pytest.fixture(scope="module")
def rich_copy(rich: Path) -> Path:
    """A result whose frames are the film's."""
    return restored_copy(rich, rich.with_name("copy.mkv"))
