"""Archives are read as folders are, by every process for itself."""

import multiprocessing
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import is_compressed_tar, read_bytes
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, SourceConfig
from vidrestore.training.degradations.recipes.table import RecipeConfig

COUNT = 8


def archive_of_bytes(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(COUNT):
            archive.writestr(f"{number}.bin", bytes([number]) * 3000)
    return path


def descriptor_of(path: Path) -> int:
    """Return the file descriptor by which this process has a file open."""
    folder = Path("/proc/self/fd")
    return next(
        int(entry.name)
        for entry in folder.iterdir()
        if entry.exists() and entry.resolve() == path.resolve()
    )


def read_all(path: Path) -> None:
    for number in range(COUNT):
        assert read_bytes(path / f"{number}.bin") == bytes([number]) * 3000


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_a_forked_process_does_not_move_the_position_of_its_parent(tmp_path: Path) -> None:
    path = archive_of_bytes(tmp_path / "a.zip")
    assert read_bytes(path / "0.bin") == bytes(3000)
    descriptor = descriptor_of(path)
    before = os.lseek(descriptor, 0, os.SEEK_CUR)

    target: Callable[[Path], None] = read_all
    child = multiprocessing.get_context("fork").Process(target=target, args=(path,))
    child.start()
    child.join()

    assert child.exitcode == 0
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == before


@pytest.mark.parametrize(
    ("name", "compressed"),
    [("a.tar", False), ("a.zip", False), ("a.tar.gz", True), ("a.tgz", True), ("a.tar.xz", True)],
)
def test_training_refuses_a_tar_without_random_access(
    tmp_path: Path, name: str, compressed: bool
) -> None:
    (tmp_path / name).write_bytes(b"")
    assert is_compressed_tar(tmp_path / name / "faces") == compressed
    config = DatasetConfig(
        root=tmp_path,
        sources=(SourceConfig(folder=f"{name}/faces"),),
        recipes=(RecipeConfig(name="none", probability=1.0),),
    )
    with pytest.raises(ConfigError, match="unpack it" if compressed else "readable archive"):
        FaceDataset(config, seed=0)
