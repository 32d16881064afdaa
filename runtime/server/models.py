"""GET /v1/models and /v1/models/{id}: the one model that is served here."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rnj_agent.runtime.server.service import Service


async def list_models(service: Service, _request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_entry(service)]})


async def show_model(service: Service, request: Request) -> Response:
    """Names may hold slashes: a path is a name too."""
    service.check_model_name(request.path_params["model"])
    return JSONResponse(_entry(service))


def _entry(service: Service) -> dict[str, Any]:
    return {
        "id": service.model_name,
        "object": "model",
        "created": service.created,
        "owned_by": "rnj-agent",
        "max_model_len": service.loaded_model().max_model_len,
    }
