import hashlib
from pathlib import Path
from types import MappingProxyType

import pytest
from support.web import Site, serving, weights_entry

from vidrestore.cli import main, weights
from vidrestore.weights import manifest
from vidrestore.weights.manifest import WEIGHTS

BODY = b"tensors" * 100


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


def add_to_manifest(served: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(BODY).hexdigest()
    entry = weights_entry(served, size_bytes=len(BODY), sha256=sha256, non_commercial=True)
    table = MappingProxyType({"net": entry})
    monkeypatch.setattr(manifest, "WEIGHTS", table)
    monkeypatch.setattr(weights, "WEIGHTS", table)


def test_the_list_has_one_line_per_checkpoint(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "list"]) == 0

    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(WEIGHTS)
    assert all(
        entry.license in line for entry, line in zip(WEIGHTS.values(), lines[1:], strict=True)
    )


def test_the_path_is_printed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "path"]) == 0
    assert capfd.readouterr().out == f"{folder}\n"


def test_a_fetched_checkpoint_is_listed_and_verified_and_its_license_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(BODY) as site:
        add_to_manifest(site, monkeypatch)
        assert main(["weights", "fetch", "net"]) == 0
    out, err = capfd.readouterr()
    assert out == f"{folder / 'net.pth'}\n"
    assert "not for commercial use" in err

    assert main(["weights", "list"]) == 0
    assert " yes " in capfd.readouterr().out
    assert main(["weights", "verify"]) == 0
    assert capfd.readouterr().out.startswith("net: good")


def test_a_license_is_printed_once_or_later_if_quiet_suppressed_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    notice = "warning: net: net.pth is licensed by the Tests (MIT): not for commercial use\n"
    with serving(BODY) as site:
        add_to_manifest(site, monkeypatch)
        assert main(["weights", "fetch", "net", "--quiet"]) == 0
    assert capfd.readouterr().err == ""
    assert main(["weights", "fetch", "net"]) == 0
    assert capfd.readouterr().err == notice
    assert main(["weights", "fetch", "net"]) == 0
    assert capfd.readouterr() == (f"{folder / 'net.pth'}\n", "")


def test_the_list_marks_partial_downloads_and_files_of_the_wrong_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    add_to_manifest(Site(body=BODY, url="http://127.0.0.1:1/net.pth"), monkeypatch)
    (folder / "net.pth.part").write_bytes(BODY[:10])
    assert main(["weights", "list"]) == 0
    assert " partly " in capfd.readouterr().out
    assert main(["weights", "verify"]) == 0
    (folder / "net.pth").write_bytes(BODY[:10])
    assert main(["weights", "list"]) == 0
    assert " wrong size " in capfd.readouterr().out


def test_a_damaged_checkpoint_fails_to_verify(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    add_to_manifest(Site(body=BODY, url="http://127.0.0.1:1/net.pth"), monkeypatch)
    (folder / "net.pth").write_bytes(BODY[:-1] + b"x")

    assert main(["weights", "verify"]) == 1
    assert capfd.readouterr().err.startswith(f"error: {folder / 'net.pth'}: SHA-256 is ")


def test_a_failed_download_is_a_one_line_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(b"something else, and longer" * 100) as site:
        add_to_manifest(site, monkeypatch)
        assert main(["weights", "fetch", "net", "--quiet"]) == 1

    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: cannot download net: ")
    assert err.count("\n") == 1


def test_verifying_an_empty_weights_folder_says_it_is_empty(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "verify"]) == 0
    assert capfd.readouterr().out == f"no checkpoints in {folder}\n"
