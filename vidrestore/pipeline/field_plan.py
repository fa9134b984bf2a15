"""How the fields of a film are treated: kept, deinterlaced, or their pulldown undone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.fields.deinterlace import DeinterlacedSource
from vidrestore.media.fields.detection import (
    FRAMES_PER_STRETCH,
    FieldDetection,
    detect_fields,
    may_be_interlaced,
)
from vidrestore.media.fields.field_rule import decide_field_rule
from vidrestore.media.fields.pulldown import InverseTelecineSource
from vidrestore.media.fields.split_weave import FieldRule
from vidrestore.media.input.pipe_source import PipeSource
from vidrestore.media.input.source import Source
from vidrestore.media.input.video_info import FieldOrder, VideoInfo
from vidrestore.pipeline.field_stages import FieldMode
from vidrestore.settings import Deinterlace

_ORDERS: Sequence[FieldOrder] = ("top first", "bottom first")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPlan:
    """How a film is read, and how it passes the stages."""

    source: Source
    """The film, deinterlaced or with its pulldown undone if requested."""
    mode: FieldMode = field(default_factory=FieldMode)
    is_interlaced: bool = False
    """Whether frames of ``source`` are known to be made of two fields."""
    notes: tuple[str, ...] = ()
    """Findings and decisions, for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _FieldFinding:
    """Field order of a film by its flags and by its pictures."""

    seen: FieldDetection
    flagged: bool
    stated: FieldOrder

    @property
    def is_clear(self) -> bool:
        return self.seen.order in _ORDERS

    def rule(self, *, requested: bool) -> FieldRule:
        """Return which frames are made of two fields; where that is unclear, the setting says."""
        return decide_field_rule(self.seen, self.stated, requested=requested)

    def __str__(self) -> str:
        """Return the finding: ``interlaced, top field first (seen in 68 of 75 frames)``."""
        detection = self.seen
        count = detection.top_first if detection.order == "top first" else detection.bottom_first
        share = f"seen in {count} of {detection.frames} frames"
        if not self.is_clear:
            if not self.flagged:
                return "not flagged as interlaced, and no fields are seen"
            stated = f", {_order_text(self.stated)}" if self.stated in _ORDERS else ""
            return f"flagged as interlaced{stated}"
        if not self.flagged:
            return f"interlaced, {_order_text(detection.order)} ({share}, not flagged)"
        if self.stated in _ORDERS and self.stated != detection.order:
            stated = _order_text(self.stated)
            return f"interlaced, {_order_text(detection.order)} ({share}, flagged as {stated})"
        return f"interlaced, {_order_text(detection.order)}"


def plan_fields(source: Source, *, deinterlace: Deinterlace, pulldown: bool) -> FieldPlan:
    """Return how to read and restore a source.

    A sample of the film is decoded, because flags may be missing or wrong.

    Args:
        source: The source as decoded.
        deinterlace: The setting.
        pulldown: Whether to undo 3:2 pulldown.

    Raises:
        ConfigError: The setting is not for folders and pictures.
        MediaError: The film has no pulldown to undo, or cannot be read.
    """
    info = source.info
    if info.kind != "film":
        if deinterlace != "auto" or pulldown:
            option = "--pulldown" if pulldown else f"--deinterlace {deinterlace}"
            raise ConfigError(
                f"{option} is only for films, but {info.path} is a {info.kind}; leave it out"
            )
        return FieldPlan(source=source)
    head = None
    if isinstance(source, PipeSource):
        head = source.head(FRAMES_PER_STRETCH) if may_be_interlaced(info) else ()
    detection = detect_fields(info, until_clear=True, head=head)
    stated = info.field_order
    finding = _FieldFinding(
        seen=detection, flagged=stated in _ORDERS or detection.flagged > 0, stated=stated
    )
    if pulldown:
        return _undo_pulldown(source, finding, deinterlace)
    if deinterlace in ("auto", "keep"):
        return _keep_fields(source, finding, requested=deinterlace == "keep")
    return _deinterlace(source, finding, double_rate=deinterlace == "field")


def _keep_fields(source: Source, finding: _FieldFinding, *, requested: bool) -> FieldPlan:
    rule = finding.rule(requested=requested)
    interlaced = finding.flagged or rule.every_frame
    notes: list[str] = []
    if interlaced:
        notes.append(
            f"{finding}: each field was restored separately, and the film stays interlaced"
        )
    elif requested:
        notes.append(f"{finding}: restored as it is")
    if finding.seen.pulldown:
        notes.append("3:2 pulldown is seen: --pulldown recovers the original frames")
    # The rule also holds without any sign of fields: later frames may be flagged.
    return FieldPlan(
        source=source,
        mode=FieldMode(rule=rule),
        is_interlaced=interlaced,
        notes=tuple(notes),
    )


def _deinterlace(source: Source, finding: _FieldFinding, *, double_rate: bool) -> FieldPlan:
    rule = finding.rule(requested=True)
    if not (finding.flagged or rule.every_frame):
        return FieldPlan(source=source, notes=(f"{finding}: nothing was deinterlaced",))
    film = DeinterlacedSource(source, rule, twice=double_rate)
    frames_made = (
        "one frame per field, at twice the rate" if double_rate else "one frame per two fields"
    )
    return FieldPlan(source=film, notes=(f"{finding}: deinterlaced by bwdif, {frames_made}",))


def _undo_pulldown(source: Source, finding: _FieldFinding, deinterlace: Deinterlace) -> FieldPlan:
    detection, info = finding.seen, source.info
    if detection.order == "progressive" and not detection.pulldown:
        raise MediaError(f"{info.path}: no 3:2 pulldown is seen in this film; leave out --pulldown")
    rule = FieldRule(top_first=finding.rule(requested=True).top_first)
    if rule.top_first is None:
        rule = FieldRule(top_first=finding.stated != "bottom first")
    film = InverseTelecineSource(source, rule)
    notes = [f"{finding}: 3:2 pulldown was undone, {_rate_text(film.info)}"]
    if not detection.pulldown:
        notes.append("3:2 pulldown is not seen in a sample of the film; check the result")
    if deinterlace == "keep":
        return FieldPlan(source=film, mode=FieldMode(rule=FieldRule()), notes=tuple(notes))
    deinterlaced = DeinterlacedSource(film, rule, twice=False)
    return FieldPlan(source=deinterlaced, notes=tuple(notes))


def _order_text(order: FieldOrder) -> str:
    return order.replace("first", "field first")


def _rate_text(info: VideoInfo) -> str:
    rate = info.average_rate
    return "four frames for every five" if rate is None else f"{float(rate):.6g} frames per second"
