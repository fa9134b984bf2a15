"""Packs a prepared folder into shards: plain tar archives in webdataset's form."""

import io
import json
import tarfile
from pathlib import Path

from vidrestore.errors import ConfigError
from vidrestore.storage.atomic_output import partial_file
from vidrestore.storage.file_errors import file_errors
from vidrestore.training.data.archives import read_bytes
from vidrestore.training.data.face_table import FaceRow, read_table


def write_shards(folder: Path, target: Path, *, faces_per_shard: int) -> int:
    """Write the faces of ``folder`` as ``faces-000000.tar``, ...; return the number of shards.

    Training reads them as it reads the folder (``read_table``). A face is ``KEY.png``, ``KEY.json``
    and, with labels, ``KEY.mask.png``, one after the other.

    Raises:
        ConfigError: ``folder`` has no table or holds contact sheets, or ``target`` is not empty.
        MediaError: A file cannot be written.
    """
    rows = read_table(folder)
    if any(row.tile_xywh is not None for row in rows):
        raise ConfigError(f"{folder}: holds contact sheets; shards are packed from single faces")
    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target}: the folder is not empty; choose an empty one")
    with file_errors(target, "write"):
        target.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(rows), faces_per_shard)
    for number, start in enumerate(starts):
        path = target / f"faces-{number:06d}.tar"
        with (
            file_errors(path, "write"),
            partial_file(path) as partial,
            tarfile.open(partial, "w") as tar,
        ):
            for index, row in enumerate(rows[start : start + faces_per_shard], start=start):
                _add_face(tar, f"{index:08d}", row)
    return len(starts)


def _add_face(tar: tarfile.TarFile, key: str, row: FaceRow) -> None:
    description = {"points": row.points_xy.tolist(), "eff_res512": row.effective_px}
    if row.boxes_xyxy is not None:
        description["boxes"] = row.boxes_xyxy.tolist()
    files = {row.image_path.suffix.lower(): read_bytes(row.image_path)}
    files[".json"] = json.dumps(description).encode()
    if row.labels_path is not None:
        files[".mask.png"] = read_bytes(row.labels_path)
    for suffix, data in files.items():
        member = tarfile.TarInfo(key + suffix)  # without owner and time: the same bytes every time
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
