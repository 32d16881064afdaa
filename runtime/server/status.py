"""GET /health and /metrics: how the server is, for supervisors and for Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rnj_agent.runtime.server.metrics import CONTENT_TYPE
from rnj_agent.runtime.server.service import Service


async def health(service: Service, _request: Request) -> Response:
    """200 once the model answers, 503 before."""
    body: dict[str, Any] = {
        "status": service.status,
        "model": service.model_name,
        "progress": round(service.progress, 3),
    }
    if service.model is not None:
        gauges = service.model.worker.gauges
        body |= {"running": gauges.num_running, "waiting": gauges.num_waiting}
    return JSONResponse(body, 200 if service.model is not None else 503)


async def metrics(service: Service, _request: Request) -> Response:
    exposition = await asyncio.to_thread(service.metrics.exposition)
    return Response(exposition, headers={"Content-Type": CONTENT_TYPE})
