"""The open film of a worker, and its networks, which are kept for the next film."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed.orders import VideoSpec
from vidrestore.media import Source, open_source
from vidrestore.pipeline.field_plan import plan_fields
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.setup import Setup
from vidrestore.pipeline.stages import Stages
from vidrestore.settings import RestoreSettings, only_affecting


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenFilm:
    """A film that is ready to be restored."""

    order: VideoSpec
    source: Source
    prepared: Setup
    stages: Stages

    def facts(self) -> ModelFacts:
        """Return facts about the networks, for the report."""
        return ModelFacts.of(self.stages)


class Workbench:
    """Opens films, one at a time."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._film: OpenFilm | None = None

    def opened(self, order: VideoSpec) -> OpenFilm:
        """Return an open film; it is opened unless it is the current one.

        Raises:
            VidrestoreError: The film cannot be opened, or a network cannot be loaded.
        """
        if self._film is not None and self._film.order.folder == order.folder:
            return self._film
        last, self._film = self._film, None
        self._stack.close()
        if not order.folder.is_dir():
            raise MediaError(
                f"{order.folder.parent}: a worker does not see this folder; put sources and "
                "outputs on storage that all machines mount under the same path"
            )
        settings = order.settings
        opened = self._stack.enter_context(
            open_source(
                order.source,
                start_seconds=settings.start_seconds,
                end_seconds=settings.end_seconds,
                fps=settings.fps,
            )
        )
        plan = plan_fields(opened, deinterlace=settings.deinterlace, pulldown=settings.pulldown)
        prepared = Setup(
            source=plan.source,
            fields=plan.mode,
            is_interlaced=plan.is_interlaced,
            settings=settings,
            notes=[*plan.notes],
        )
        stages = _stages(prepared, last)
        self._film = OpenFilm(order=order, source=plan.source, prepared=prepared, stages=stages)
        return self._film


def _stages(prepared: Setup, last: OpenFilm | None) -> Stages:
    """Return the stages for a film, with the last film's networks if they are the same."""
    settings, info = prepared.settings, prepared.source.info
    alike = last is not None and _same_networks(settings, last.order.settings)
    if last is None or not alike or settings.background is not None:
        return prepared.stages(prepared.background())
    return replace(
        last.stages,
        geometry=info.geometry,
        settings=settings,
        stopwatch=prepared.stopwatch,
        fields=prepared.fields,
        whole_batches=info.kind != "picture",
    )


def _same_networks(one: RestoreSettings, other: RestoreSettings) -> bool:
    return only_affecting(one, "bytes") == only_affecting(other, "bytes")
