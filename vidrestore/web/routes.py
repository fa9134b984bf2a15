"""Addresses of films and images: each names a job or a preview by its id, and never a path."""

from importlib import import_module
from pathlib import Path
from typing import Any

from vidrestore.errors import VidrestoreError
from vidrestore.web.services import Services

# A review page may run the script in it, and nothing else; it cannot reach this server.
_REVIEW_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "sandbox allow-scripts allow-downloads"
)


def add_routes(application: Any, services: Services) -> None:
    """Add the routes to an application of FastAPI.

    Args:
        application: The application.
        services: What is behind the page.
    """
    responses = import_module("starlette.responses")

    def missing() -> Any:
        return responses.PlainTextResponse("not found", status_code=404)

    def file_of(path: Path | None, **more: Any) -> Any:
        if path is None or not path.is_file():
            return missing()
        headers = {"cache-control": "no-store", **more.pop("headers", {})}
        return responses.FileResponse(path, headers=headers, **more)

    def job_file(request: Any) -> Any:
        try:
            job = services.queue.get(request.path_params["job_id"])
            files = services.queue.files(job.id)
        except VidrestoreError:
            return missing()
        match request.path_params["kind"]:
            case "live":
                return file_of(files.live_frame)
            case "view":
                return file_of(files.viewing_copy)
            case "result" if job.kind == "picture":
                return file_of(job.output)
            case "download":
                return file_of(job.output, filename=job.output.name)
            case "report":
                return file_of(job.report, media_type="application/json")
            case "review":
                policy = {"content-security-policy": _REVIEW_POLICY}
                return file_of(job.review, media_type="text/html", headers=policy)
            case _:
                return missing()

    def preview_image(request: Any) -> Any:
        parameters = request.path_params
        return file_of(services.preview_store.image(parameters["token"], parameters["name"]))

    application.add_route("/jobs/{job_id}/{kind}", job_file, methods=["GET", "HEAD"])
    application.add_route("/previews/{token}/{name}", preview_image, methods=["GET", "HEAD"])
