"""Films: frames in, a file with everything else of the source out."""

from pathlib import Path

from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.clock import TimeRange
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.muxer import Muxer
from vidrestore.prefetch import BackgroundWriter
from vidrestore.types import DisplayGeometry, Frame

_FRAMES_WAITING = 4


class FilmSink:
    """Encodes frames on its own thread, and copies all other packets in between."""

    def __init__(
        self,
        path: Path,
        *,
        target: Path,
        info: VideoInfo,
        geometry: DisplayGeometry,
        source_path: Path | None,
        settings: EncoderSettings,
        cut: TimeRange,
        drop_unsupported: bool,
    ) -> None:
        self.frame_count = 0
        self._target = target
        self._file = Muxer(
            path,
            target=target,
            info=info,
            geometry=geometry,
            source_path=source_path,
            settings=settings,
            cut=cut,
            drop_unsupported=drop_unsupported,
        )
        self._behind = BackgroundWriter(self._encode, size=_FRAMES_WAITING)

    @property
    def notes(self) -> list[str]:
        """What a user should know of the file."""
        return self._file.notes

    @property
    def encode_seconds(self) -> float:
        """How long frames were encoded so far, on the thread of this sink."""
        return self._behind.busy_seconds

    def write(self, frame: Frame) -> None:
        """Queue a frame for the encoder; frames come in presentation order.

        Raises:
            MediaError: Encoding or writing failed, of this frame or of one before.
        """
        self._behind.put(frame)
        self.frame_count += 1
        self._file.follow_rhythm(frame.timestamp.ticks)

    def finish(self) -> None:
        """Encode and copy what is left and write the end of the file."""
        self._behind.finish()
        if self.frame_count == 0:
            return
        with media_errors(self._target, "write"):
            self._file.mux(self._file.encoder.remaining())
        self._file.finish()

    def abandon(self) -> None:
        """Stop at once; what is written is of no use."""
        self._behind.abandon()

    def close(self) -> None:
        """Close the files; safe to call twice."""
        self._file.close()

    def _encode(self, frame: Frame) -> None:
        with media_errors(self._target, "write"):
            self._file.mux(self._file.encoder.packets(frame))
