"""Exceptions of the package.

VidrestoreError
    MediaError               a file could not be read, decoded, encoded or written
        UnsupportedStreamError   the target cannot hold a stream of the source
    WeightsError             a checkpoint is missing, unsafe, unreadable or does not fit
        DownloadError            a checkpoint could not be downloaded or fails its checksum
    RecordError              the record of a run is unreadable, truncated or contradictory
    VerificationError        a result differs from its source beside the faces
    ConfigError              a setting is unknown, of the wrong type, or out of range
    UnknownModelError        a name is not in the model table
    DeviceError              the requested device or precision is not available
    WorkerError              worker processes cannot be started, differ, or keep dying
    PipeClosedError          the program that reads standard output has closed it
    NonFiniteLossError       training would have applied a NaN or infinite update

A class also derives from the built-in exception that a caller would expect, if there is one.
A message says what is wrong, where (the file or setting), and what to do. No other exception
is meant to reach a user.
"""


class VidrestoreError(Exception):
    """Base class: catch this to catch every expected error."""


class MediaError(VidrestoreError, OSError):
    """A file could not be read, decoded, encoded or written."""


class UnsupportedStreamError(MediaError):
    """The target container cannot hold a stream of the source."""


class WeightsError(VidrestoreError):
    """A checkpoint is missing, unsafe, unreadable or does not fit the network."""


class DownloadError(WeightsError):
    """A checkpoint could not be downloaded, or fails its checksum."""


class RecordError(VidrestoreError, ValueError):
    """The record of a run is unreadable, truncated or contradictory."""


class VerificationError(VidrestoreError):
    """A result differs from its source in something that was to stay."""


class ConfigError(VidrestoreError, ValueError):
    """A setting is unknown, of the wrong type, or out of range."""


class UnknownModelError(VidrestoreError, LookupError):
    """A name is not in the model table."""


class DeviceError(VidrestoreError):
    """The requested device or precision is not available on this machine."""


class WorkerError(VidrestoreError):
    """Worker processes cannot be started, differ from each other, or keep dying."""


class PipeClosedError(VidrestoreError, BrokenPipeError):
    """The program that reads standard output has closed it."""


class NonFiniteLossError(VidrestoreError, ArithmeticError):
    """Training would have applied a NaN or infinite update."""
