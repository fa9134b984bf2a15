import hashlib
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from support.web import Reply, Site, serving, weights_entry

from vidrestore.errors import DownloadError, UnknownModelError, WeightsError
from vidrestore.weights import download, manifest
from vidrestore.weights.cache import ensure_local, fetch, find, verify, weights_folder

BODY = bytes(range(256)) * 4000  # a megabyte: several blocks
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 5)
    monkeypatch.setattr(download, "WAIT_SECONDS", 0)
    return tmp_path / "weights"


@pytest.fixture
def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with serving(BODY) as served:
        entry = weights_entry(served)
        unchecked = replace(
            entry, name="unchecked", file_name="unchecked.pth", size_bytes=None, sha256=None
        )
        table = {entry.name: entry, unchecked.name: unchecked}
        monkeypatch.setattr(manifest, "WEIGHTS", MappingProxyType(table))
        yield served


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download_has_its_final_name_and_leaves_no_other_file(site: Site, folder: Path) -> None:
    path = fetch("net")

    assert path == folder / "net.pth"
    assert path.read_bytes() == BODY
    assert leftovers(folder) == ["net.pth"]


def test_a_verified_file_is_not_downloaded_again(site: Site) -> None:
    fetch("net")
    fetch("net")

    assert len(site.requests) == 1


def test_a_missing_file_is_downloaded(site: Site, folder: Path) -> None:
    assert ensure_local("net").read_bytes() == BODY
    assert ensure_local("net") == folder / "net.pth"
    assert len(site.requests) == 1


@pytest.mark.parametrize("own", [BODY[:-1] + b"x", b"a network of the user's own"])
def test_a_file_of_the_user_is_refused_and_not_replaced(
    site: Site, folder: Path, own: bytes
) -> None:
    folder.mkdir()
    (folder / "net.pth").write_bytes(own)

    with pytest.raises(WeightsError, match=r"to replace it run: vidrestore weights fetch net"):
        ensure_local("net")
    assert (folder / "net.pth").read_bytes() == own
    assert site.requests == []


def test_a_damaged_file_in_the_folder_is_replaced_by_a_fetch(site: Site, folder: Path) -> None:
    folder.mkdir()
    (folder / "net.pth").write_bytes(BODY[:-1] + b"x")

    assert fetch("net").read_bytes() == BODY


def test_a_dropped_connection_is_resumed_where_it_stopped(site: Site) -> None:
    site.replies = [Reply(cut_after_bytes=300_000), Reply(cut_after_bytes=200_000)]

    assert fetch("net").read_bytes() == BODY
    assert site.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_failed_download_is_resumed_by_the_next_call(site: Site, folder: Path) -> None:
    site.replies = [Reply(cut_after_bytes=300_000), *[Reply(status=503)] * 3]
    with pytest.raises(DownloadError, match="503"):
        fetch("net")
    assert leftovers(folder) == ["net.pth.part"]

    assert fetch("net").read_bytes() == BODY
    assert site.ranges[-1] == "bytes=300000-"


def test_dropped_connections_are_retried_as_long_as_bytes_arrive(site: Site) -> None:
    site.replies = [Reply(cut_after_bytes=100_000)] * 8

    assert fetch("net").read_bytes() == BODY


def test_a_server_that_ignores_ranges_is_read_from_the_start(site: Site) -> None:
    site.replies = [Reply(cut_after_bytes=300_000), Reply(honors_range=False)]

    assert fetch("net").read_bytes() == BODY


def test_a_server_that_drops_connections_and_ignores_ranges_is_an_error(site: Site) -> None:
    site.replies = [Reply(cut_after_bytes=300_000, honors_range=False)] * 20

    with pytest.raises(DownloadError, match="ended after 300000 of"):
        fetch("net")
    assert len(site.requests) == download.TRIES


def test_a_range_that_was_not_requested_is_not_appended(site: Site) -> None:
    site.replies = [Reply(cut_after_bytes=300_000), Reply(shift_range_bytes=7)]

    assert fetch("net").read_bytes() == BODY
    assert site.ranges == [None, "bytes=300000-", None]


def test_redirects_are_followed(site: Site) -> None:
    site.replies = [Reply(location="/elsewhere.pth"), Reply(location="/there.pth")]

    assert fetch("net").read_bytes() == BODY


def test_wrong_bytes_are_deleted_and_never_get_the_final_name(site: Site, folder: Path) -> None:
    site.body = BODY[:-1] + b"x"

    with pytest.raises(DownloadError, match=f"expected {SHA256}, and was deleted"):
        fetch("net")
    assert leftovers(folder) == []


def test_a_partial_download_of_another_version_is_deleted(site: Site, folder: Path) -> None:
    folder.mkdir()
    (folder / "net.pth.part").write_bytes(b"x" * 1000)

    with pytest.raises(DownloadError, match="and was deleted"):
        fetch("net")
    assert fetch("net").read_bytes() == BODY


def test_a_partial_download_longer_than_the_file_is_restarted(site: Site, folder: Path) -> None:
    folder.mkdir()
    (folder / "net.pth.part").write_bytes(BODY + b"x")

    assert fetch("net").read_bytes() == BODY
    assert site.ranges == [None]


def test_a_complete_partial_file_is_not_requested_again(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(manifest.WEIGHTS["net"], size_bytes=None)
    monkeypatch.setattr(manifest, "WEIGHTS", {"net": entry})
    folder.mkdir()
    (folder / "net.pth.part").write_bytes(BODY)

    assert fetch("net").read_bytes() == BODY
    assert site.ranges == [f"bytes={len(BODY)}-"]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=404), "answers 404"),
        (Reply(content_type="text/html; charset=utf-8"), "a web page"),
    ],
)
def test_a_permanent_error_of_the_server_is_not_retried(
    site: Site, reply: Reply, message: str
) -> None:
    site.replies = [reply]

    with pytest.raises(DownloadError, match=message):
        fetch("net")
    assert len(site.requests) == 1


def test_a_file_of_another_size_is_refused_before_it_is_read(site: Site, folder: Path) -> None:
    site.body = BODY + b"x"

    with pytest.raises(DownloadError, match=f"offers {len(BODY) + 1} bytes"):
        fetch("net")
    assert leftovers(folder) == []


def test_an_unreachable_server_is_an_error_that_says_what_to_do(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(manifest.WEIGHTS["net"], url="http://127.0.0.1:1/net.pth")
    monkeypatch.setattr(manifest, "WEIGHTS", {"net": entry})

    with pytest.raises(DownloadError) as caught:
        fetch("net")
    message = str(caught.value)
    for part in ("cannot be reached", str(folder / "net.pth"), "--model lite", "mtcnn"):
        assert part in message
    assert message.count(entry.url) == 1
    assert "\n" not in message
    assert leftovers(folder) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file locks")
def test_concurrent_downloads_of_one_file_do_not_mix(site: Site, folder: Path) -> None:
    import fcntl

    folder.mkdir()
    with (folder / "net.pth.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="another process is downloading it"):
            fetch("net")
    assert fetch("net").read_bytes() == BODY


def test_a_download_reports_its_progress(site: Site) -> None:
    inputs: list[tuple[int, int | None]] = []

    fetch("net", on_progress=lambda here, total: inputs.append((here, total)))

    assert inputs == sorted(inputs)
    assert inputs[-1] == (len(BODY), len(BODY))


def test_without_a_published_checksum_the_first_one_is_recorded_and_logged(
    site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        path = fetch("unchecked")

    assert (folder / "unchecked.pth.sha256").read_text() == f"{SHA256}  unchecked.pth\n"
    assert SHA256 in caplog.text
    assert verify("unchecked").expected_from == "first download"
    path.write_bytes(BODY[:-1] + b"x")
    with pytest.raises(WeightsError, match=f"expected {SHA256}"):
        verify("unchecked")


def test_without_a_checksum_two_versions_of_a_file_are_never_joined(site: Site) -> None:
    site.replies = [Reply(cut_after_bytes=300_000, etag='"old"'), Reply(etag='"new"')]

    assert fetch("unchecked").read_bytes() == BODY
    assert site.requests[1]["If-Range"] == '"old"'


def test_without_a_checksum_or_validator_a_dropped_download_restarts(site: Site) -> None:
    site.replies = [Reply(cut_after_bytes=300_000, etag=None)]

    assert fetch("unchecked").read_bytes() == BODY
    assert site.ranges == [None, None]


def test_without_checksum_and_length_a_file_is_refused(site: Site) -> None:
    site.replies = [Reply(says_length=False)]

    with pytest.raises(DownloadError, match="does not say how long"):
        fetch("unchecked")


def test_a_published_checksum_is_verified(site: Site) -> None:
    path = fetch("net")

    assert verify("net").sha256 == SHA256
    assert verify("net").expected_from == "published"
    path.write_bytes(BODY[:-1] + b"x")
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        verify("net")


def test_a_truncated_file_is_refused_on_lookup(site: Site, folder: Path) -> None:
    folder.mkdir()
    (folder / "net.pth").write_bytes(BODY[:1000])

    with pytest.raises(WeightsError, match="has 1000 bytes"):
        find("net")


def test_missing_weights_are_none_on_lookup_and_an_error_on_verification(site: Site) -> None:
    assert find("net") is None
    with pytest.raises(WeightsError, match="vidrestore weights fetch net"):
        verify("net")


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match=r"gfpgan-1\.4"):
        find("gfpgan1.4")


def test_a_folder_that_cannot_be_written_is_named(site: Site, folder: Path) -> None:
    folder.write_text("a file where the folder should be")

    with pytest.raises(DownloadError, match="VIDRESTORE_WEIGHTS"):
        fetch("net")


def test_the_folder_is_that_of_the_variable_or_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path / "own"))
    assert weights_folder() == tmp_path / "own"

    monkeypatch.delenv("VIDRESTORE_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_folder() == tmp_path / "cache" / "vidrestore"

    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder() == tmp_path / ".cache" / "vidrestore"
