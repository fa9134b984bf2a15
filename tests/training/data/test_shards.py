"""Shards in webdataset's form are read as the folder that they were packed from."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from support.runs import data, write_faces

from vidrestore.errors import ConfigError
from vidrestore.toml_config import from_mapping
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset
from vidrestore.training.data.face_table import read_table
from vidrestore.training.data.preparation.write_shards import write_shards


def samples(root: Path, folder: str) -> FaceDataset:
    settings = data(root, sources=[{"folder": folder}])
    return FaceDataset(from_mapping(settings, DatasetConfig, where="test"), seed=0)


def test_a_shard_and_its_folder_give_the_same_samples_in_any_order(tmp_path: Path) -> None:
    root = write_faces(tmp_path)
    assert write_shards(root / "faces", root / "shards", faces_per_shard=2) == 2
    assert [path.name for path in sorted((root / "shards").iterdir())] == [
        "faces-000000.tar",
        "faces-000001.tar",
    ]
    plain, packed = samples(root, "faces"), samples(root, "shards")
    assert len(packed) == 3
    for index in (5, 0, 3):
        for one, other in zip(plain[index], packed[index], strict=True):
            assert torch.equal(one, other)
    assert len(read_table(root / "shards" / "faces-000000.tar")) == 2
    with pytest.raises(ConfigError, match="not empty"):
        write_shards(root / "faces", root / "shards", faces_per_shard=2)


def pack(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_shards_of_other_programs_are_read(tmp_path: Path) -> None:
    points, boxes = np.arange(10.0).reshape(5, 2), np.arange(12.0).reshape(3, 4)
    json = f'{{"points": {points.tolist()}, "eff_res512": 400, "boxes": {boxes.tolist()}}}'
    pack(tmp_path / "a.tar", {"b/7.jpg": b"", "b/7.json": json.encode(), "b/7.txt": b"a caption"})
    (row,) = read_table(tmp_path)
    assert row.image_path == tmp_path / "a.tar" / "b" / "7.jpg"
    assert (row.effective_px, row.labels_path) == (400, None)
    np.testing.assert_array_equal(row.points_xy, points)
    np.testing.assert_array_equal(row.boxes_xyxy, boxes)


@pytest.mark.parametrize(
    "files", [{"7.json": b"{}", "7.jpg": b""}, {"7.json": b"no"}, {"7.json": b'{"points": []}'}]
)
def test_an_incomplete_shard_is_refused_by_name(tmp_path: Path, files: dict[str, bytes]) -> None:
    pack(tmp_path / "a.tar", files)
    with pytest.raises(ConfigError, match=r"a\.tar/7\.json: not a face of a shard"):
        read_table(tmp_path / "a.tar")
    (tmp_path / "b.tar").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"b\.tar: not a readable archive"):
        read_table(tmp_path)
