"""Renamed keys of configs keep working."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vidrestore.errors import ConfigError
from vidrestore.toml_config import read_config


@dataclass(frozen=True, kw_only=True)
class Batch:
    num_workers: int = field(default=1, metadata={"alias": "workers"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    loader: Batch | None = field(default=None, metadata={"alias": "batch"})
    max_grad_norm: float = field(default=1.0, metadata={"alias": "clip_norm"})


def read(folder: Path, text: str, *overrides: str) -> Settings:
    path = folder / "run.toml"
    path.write_text(text)
    return read_config(path, Settings, overrides=overrides)


def test_an_old_key_is_read_as_the_current_one(tmp_path: Path) -> None:
    present = read(tmp_path, "max_grad_norm = 2.0\n[loader]\nnum_workers = 3\n")
    assert read(tmp_path, "clip_norm = 2.0\n[batch]\nworkers = 3\n") == present


@pytest.mark.parametrize("text", ["[loader]\nnum_workers = 3\n", "[batch]\nworkers = 3\n"])
@pytest.mark.parametrize("key", ["loader.num_workers", "batch.workers", "loader.workers"])
def test_an_override_takes_precedence_under_old_and_current_keys(
    tmp_path: Path, text: str, key: str
) -> None:
    assert read(tmp_path, text, f"{key}=5").loader == Batch(num_workers=5)


def test_a_setting_given_under_both_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.toml\.clip_norm: is given as max_grad_norm, too"):
        read(tmp_path, "max_grad_norm = 2.0\nclip_norm = 1.0\n")
