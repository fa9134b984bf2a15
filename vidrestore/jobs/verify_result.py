"""Proves at the end of a run that nothing but the faces changed."""

from pathlib import Path

from vidrestore.errors import VerificationError
from vidrestore.progress import ProgressCallback, comparing
from vidrestore.settings import RestoreSettings


def verify_result(
    source: Path, output: Path, settings: RestoreSettings, on_progress: ProgressCallback
) -> str:
    """Compare a finished output with its source, and return a note with the result.

    Args:
        source: The source of the run.
        output: Its output.
        settings: Its settings, with a record.
        on_progress: Called after every frame.

    Raises:
        MediaError: The output cannot be read.
        VerificationError: Something else changed.
    """
    from vidrestore.verify import verify

    evidence = [] if settings.record is None else [settings.record]
    on_frames = comparing(on_progress)
    verification = verify(source, output, evidence_paths=evidence, on_frames=on_frames)
    changed = [check.name for check in verification.checks if check.result == "changed"]
    if changed:
        raise VerificationError(
            f"{output}: changed outside the faces: {', '.join(changed)}; the output and the record "
            "are kept, and vidrestore verify shows the differences"
        )
    count = sum(check.result == "kept" for check in verification.checks)
    return f"verified: nothing else changed ({count} checks passed)"
