"""The process that restores previews: answers each line of JSON on standard input by one.

python -m vidrestore.web.preview.worker
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from vidrestore.errors import VidrestoreError
from vidrestore.web.form import Form


def model_list() -> list[dict[str, Any]]:
    """Return every restorer: its name, license, default detail, and whether it is downloaded."""
    from vidrestore.pipeline.loading.model_info import all_models

    return [
        {
            "name": info.name,
            "license": info.license,
            "detail": info.default_detail,
            "is_here": None not in info.weights.values(),
        }
        for info in all_models()
    ]


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a request: the models, the frames of a preview, or nothing to warm up.

    Args:
        request: ``{"models": true}``, ``{"warm_up": true}``, or path, raw values of the form,
            seconds, count and folder.
    """
    try:
        if request.get("models"):
            return {"models": model_list()}
        # Imported late: the models are asked for at the start, when nobody waits for a preview.
        from vidrestore.web.preview.frames import preview_frames, warm_up

        if request.get("warm_up"):
            warm_up()
            return {}
        values = request["values"]
        settings = Form([values["model"]]).settings(values)
        frames = preview_frames(
            Path(request["path"]),
            settings,
            seconds=request["seconds"],
            count=request["count"],
            folder=Path(request["folder"]),
        )
        return {"frames": [frame.to_json() for frame in frames]}
    except (VidrestoreError, OSError) as error:
        return {"error": " ".join(str(error).split())}


def main() -> None:
    """Answer until standard input is closed."""
    # What libraries print must not stand between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.getLogger("vidrestore").setLevel(logging.ERROR)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
