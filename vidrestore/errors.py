"""Every error this package raises on purpose.

VidrestoreError
    MediaError               a file could not be read, decoded, encoded or written
        UnsupportedStreamError   the target cannot hold a stream of the source
    WeightsError             a checkpoint is missing, unsafe, unreadable or does not fit
        DownloadError            a checkpoint could not be fetched or fails its checksum
    RecordError              a record of a run is unreadable, cut off, or says what cannot be
    ConfigError              a setting is unknown, of the wrong type, or out of range
    UnknownModelError        a name is not in the model table
    DeviceError              the requested device or precision is not to be had here
    WorkerError              other processes that a run needs are not to be had, or keep dying
    NonFiniteLossError       training would have applied a NaN or infinite update

A class also derives from the built-in error a caller would expect, where there is one.
Messages name the file or setting, what was found, and what to do. Nothing else in the
package is meant to reach a user.
"""


class VidrestoreError(Exception):
    """Base of the tree: catch this to catch everything expected."""


class MediaError(VidrestoreError, OSError):
    """A file could not be read, decoded, encoded or written."""


class UnsupportedStreamError(MediaError):
    """The target container cannot hold a stream of the source."""


class WeightsError(VidrestoreError):
    """A checkpoint is missing, unsafe, unreadable or does not fit the network."""


class DownloadError(WeightsError):
    """A checkpoint could not be fetched, or what came fails its checksum."""


class RecordError(VidrestoreError, ValueError):
    """A record of a run is unreadable, cut off, or says what cannot be."""


class ConfigError(VidrestoreError, ValueError):
    """A setting is unknown, of the wrong type, or out of range."""


class UnknownModelError(VidrestoreError, LookupError):
    """A name is not in the model table."""


class DeviceError(VidrestoreError):
    """The requested device or precision is not to be had here."""


class WorkerError(VidrestoreError):
    """Other processes that a run needs are not to be had, are not alike, or keep dying."""


class NonFiniteLossError(VidrestoreError, ArithmeticError):
    """Training would have applied a NaN or infinite update."""
