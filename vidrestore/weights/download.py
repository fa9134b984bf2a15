"""Downloads one file over HTTP: resumed by range, retried, checked against the manifest."""

import hashlib
import os
import re
import socket
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from typing import BinaryIO, TypeAlias, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from vidrestore.errors import DownloadError
from vidrestore.storage.sync import flush_and_sync
from vidrestore.weights.manifest import WeightsEntry

BytesCallback: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes in total; None if unknown."""

TIMEOUT_SECONDS = 30.0
"""Longest silence of the server."""
TRIES = 4
"""Attempts in a row without a new byte before giving up."""
WAIT_SECONDS = 1.0
"""Pause after the first failure; doubled for each further one in a row."""
_BLOCK_BYTES = 1 << 18
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE_REFUSED = 416


class _RetryableError(Exception):
    """The connection failed or ended early; another attempt may succeed."""


def download(
    entry: WeightsEntry, file: BinaryIO, *, on_progress: BytesCallback | None = None
) -> str:
    """Fill ``file`` with the checkpoint of ``entry`` and return its SHA-256.

    Args:
        entry: The checkpoint.
        file: Open for appending and reading. Bytes of an earlier call are kept if a published
            checksum can tell whether they belong to the file.
        on_progress: Called after every block.

    Raises:
        DownloadError: It could not be downloaded completely. The bytes received stay in ``file``.
        OSError: ``file`` could not be written.
    """
    transfer = _Transfer(entry, file, on_progress)
    max_bytes, failures = transfer.bytes_here, 0
    while not transfer.complete:
        try:
            transfer.attempt()
        except _RetryableError as error:
            # A server that ignores ranges may always fail at the same place: only new bytes count.
            failures = 1 if transfer.bytes_here > max_bytes else failures + 1
            max_bytes = max(max_bytes, transfer.bytes_here)
            if failures >= TRIES:
                raise DownloadError(f"cannot download {entry.name}: {error}") from error
            time.sleep(WAIT_SECONDS * 2 ** (failures - 1))
    flush_and_sync(file)
    return _sha256(file)


class _Transfer:
    """The state of one download over its attempts."""

    def __init__(
        self, entry: WeightsEntry, file: BinaryIO, on_progress: BytesCallback | None
    ) -> None:
        self._entry = entry
        self._file = file
        self._on_progress = on_progress
        self._validator: str | None = None
        self._total = entry.size_bytes
        if entry.sha256 is None or (self._total is not None and self.bytes_here > self._total):
            self._file.truncate(0)
        self.complete = self._total is not None and self.bytes_here == self._total

    @property
    def bytes_here(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    def attempt(self) -> None:
        """Request the missing bytes and append them."""
        if self._entry.sha256 is None and self._validator is None:
            self._file.truncate(0)  # bytes of two versions could not be distinguished
        offset = self.bytes_here
        request = Request(self._entry.url, headers={"User-Agent": "vidrestore"})
        if offset:
            request.add_header("Range", f"bytes={offset}-")
            if self._validator:
                request.add_header("If-Range", self._validator)
        response = self._request(request)
        if response is None:
            return
        with response:
            self._start(response, offset)
            self._append(response)

    def _request(self, request: Request) -> HTTPResponse | None:
        """Return the response, or None if the server says that nothing is missing."""
        try:
            return cast("HTTPResponse", urlopen(request, timeout=TIMEOUT_SECONDS))
        except HTTPError as error:
            with error:
                if error.code == _RANGE_REFUSED:
                    self._range_refused(error.headers.get("Content-Range", ""))
                    return None
                what = f"the server of {self._entry.url} answers {error.code} {error.reason}"
                if error.code in _BUSY:
                    raise _RetryableError(what) from error
                raise DownloadError(f"cannot download {self._entry.name}: {what}") from error
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            what = f"{self._entry.url} cannot be reached ({reason or type(reason).__name__})"
            if isinstance(reason, socket.gaierror):  # no network: waiting does not help
                raise DownloadError(f"cannot download {self._entry.name}: {what}") from error
            raise _RetryableError(what) from error

    def _range_refused(self, content_range: str) -> None:
        if content_range == f"bytes */{self.bytes_here}":
            self.complete = True
            return
        self._file.truncate(0)
        raise _RetryableError("the server refuses to resume")

    def _start(self, response: HTTPResponse, offset: int) -> None:
        """Check that the response is the requested file, from the requested byte on."""
        self._check_response(response)
        total = response.length
        if response.status == 206:
            match = re.fullmatch(
                r"bytes (\d+)-\d+/(\d+|\*)", response.getheader("Content-Range", "")
            )
            if match is None or int(match[1]) != offset:
                self._file.truncate(0)
                raise _RetryableError("the server sends another range than requested")
            if match[2] != "*":
                total = int(match[2])
            elif total is not None:
                total += offset
        elif offset:
            self._file.truncate(0)
        if self._entry.size_bytes is not None and total not in (None, self._entry.size_bytes):
            raise DownloadError(
                f"cannot download {self._entry.name}: {self._entry.url} offers {total} bytes, "
                f"expected {self._entry.size_bytes}"
            )
        self._total = total if total is not None else self._entry.size_bytes
        if self._total is None and self._entry.sha256 is None and not response.chunked:
            raise DownloadError(
                f"cannot download {self._entry.name}: {self._entry.url} does not say how long "
                "the file is, so a truncated download would go unnoticed"
            )
        etag = response.getheader("ETag", "")
        # RFC 9110, section 13.1.5: a weak validator must not be used in If-Range.
        self._validator = etag if etag and not etag.startswith("W/") else None

    def _check_response(self, response: HTTPResponse) -> None:
        if response.getheader("Content-Type", "").startswith("text/html"):
            raise DownloadError(
                f"cannot download {self._entry.name}: {self._entry.url} answers with a web page; "
                "does this network ask for a login?"
            )
        if self._entry.url.startswith("https:") and not response.url.startswith("https:"):
            raise DownloadError(
                f"cannot download {self._entry.name}: {self._entry.url} redirects to "
                f"{response.url}, which is not encrypted"
            )

    def _append(self, response: HTTPResponse) -> None:
        while block := self._read(response):
            self._file.write(block)
            if self._on_progress:
                self._on_progress(self.bytes_here, self._total)
        if self._total is not None and self.bytes_here < self._total:
            raise _RetryableError(
                f"{self._entry.url} ended after {self.bytes_here} of {self._total} bytes"
            )
        self.complete = True

    def _read(self, response: HTTPResponse) -> bytes:
        try:
            return response.read(_BLOCK_BYTES)
        except (OSError, HTTPException) as error:
            raise _RetryableError(
                f"{self._entry.url} disconnected after {self.bytes_here} bytes ({error})"
            ) from error


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
