"""One row of a data set, checked field by field and named as the data sets name them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rnj_agent.agent.swebench.instance import Instance


def _read_tests(value: object) -> object:
    """Lists of tests come as JSON text in some data sets."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError as exc:
            raise ValueError("neither a list nor JSON of one") from exc
    return () if value is None else value


def _read_text(value: object) -> object:
    return "" if value is None else value


def _read_time(value: object) -> object:
    """ISO 8601; empty where it is something else, which nothing depends on."""
    try:
        return datetime.fromisoformat(str(value)).isoformat()
    except ValueError:
        return ""


_Text = Annotated[str, BeforeValidator(_read_text)]
_Tests = Annotated[tuple[str, ...], BeforeValidator(_read_tests)]
_INSTANCE_ID = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"


class RowError(ValueError):
    """The row is no instance; the message names each field and what is wrong with it."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")

    # It names folders and images.
    instance_id: Annotated[str, Field(pattern=rf"^{_INSTANCE_ID}$")]
    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    base_commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")]
    problem_statement: Annotated[str, Field(pattern=re.compile(r"\S"))]
    patch: _Text = ""
    test_patch: _Text = ""
    fail_to_pass: Annotated[_Tests, Field(alias="FAIL_TO_PASS")] = ()
    pass_to_pass: Annotated[_Tests, Field(alias="PASS_TO_PASS")] = ()
    version: _Text = ""
    created_at: Annotated[str, BeforeValidator(_read_time)] = ""
    environment_setup_commit: _Text = ""
    image: _Text = ""
    image_name: _Text = ""
    docker_image: _Text = ""
    eval_script: _Text = ""
    log_parser: _Text = ""
    eval_type: _Text = ""


def parse_row(row: Mapping[str, Any]) -> Instance:
    """Check one row.

    Raises:
        RowError: fields are missing or malformed.
    """
    try:
        checked = _Row.model_validate(row)
    except ValidationError as exc:
        problems = (
            f"{'.'.join(map(str, error['loc'])) or 'row'}: {error['msg']}"
            for error in exc.errors(include_url=False, include_context=False, include_input=False)
        )
        raise RowError("; ".join(problems)) from exc
    fields = checked.model_dump(exclude={"image_name", "docker_image"})
    fields["image"] = checked.image or checked.image_name or checked.docker_image
    return Instance(**fields)
