"""What all bodies on the wire share: strict fields, and errors that name the field."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rnj_agent.runtime.errors import RequestError

BodyT = TypeVar("BodyT", bound=BaseModel)

INT64 = 2**63
"""Integers beyond it are no counts and no seeds."""


class Wire(BaseModel):
    """Unknown fields are ignored, as OpenAI's servers do; known ones have exactly their type."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


def parse_body(kind: type[BodyT], body: bytes) -> BodyT:
    """Parse a request body. Of a key that comes twice the last one counts, as everywhere in JSON.

    Raises:
        RequestError: it is not JSON in UTF-8, or a field is wrong; ``param`` names it.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        param = _path(error["loc"]) or None
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "json_invalid":
            raise RequestError(
                f"The body is not valid JSON: {message}", code="invalid_json"
            ) from None
        where = f"{param}: " if param else ""
        raise RequestError(f"{where}{message}", param=param, code="invalid_type") from None


def _path(loc: tuple[int | str, ...]) -> str:
    """('messages', 0, 'role') -> 'messages[0].role'."""
    path = ""
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")
