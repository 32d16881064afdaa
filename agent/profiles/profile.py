"""What a profile file may say, and the profile that comes of it for one model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator

from rnj_agent.agent.config import HarnessSettings, PositiveFloat, PositiveInt
from rnj_agent.agent.events import Protocol
from rnj_agent.prompts import Form

ToolName: TypeAlias = Literal["bash", "edit", "submit"]

SMALL_PARAMETERS: Final = 4e9
"""A model of at most so many gets its profile's ``small`` part."""

_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_UNIT: Final = {"b": 1e9, "m": 1e6}

# TOML knows lists alone
_Lines = Annotated[tuple[str, ...], Strict(False)]
_Tools = Annotated[tuple[ToolName, ...], Strict(False)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class BenchmarkSettings(_Section):
    """Limits of ``swebench run`` where the person sets none; None: the command's own."""

    steps: PositiveInt | None = None
    time_s: PositiveFloat | None = None
    format_errors: PositiveInt | None = None
    command_timeout_s: PositiveFloat | None = None


class Variant(_Section):
    """What the ``small`` part may say over the rest. None: as the rest says."""

    protocol: Protocol | None = None
    """How the model acts where the person does not say."""
    lines: _Lines | None = None
    """Sentences that the system prompt says besides."""
    brief: bool | None = None
    """A shorter system prompt."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_reply_tokens: PositiveInt | None = None
    tools: _Tools | None = None
    """What may be called; ``bash`` always."""
    harness: HarnessSettings = Field(default_factory=HarnessSettings)
    """As in a config file."""

    @field_validator("tools")
    @classmethod
    def _has_bash(cls, tools: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if tools is not None and "bash" not in tools:
            raise ValueError("bash must be among them")
        return tools

    @field_validator("harness")
    @classmethod
    def _names_no_profile(cls, harness: HarnessSettings) -> HarnessSettings:
        if harness.profile:
            raise ValueError("a profile cannot name another one")
        return harness


class ProfileFile(Variant):
    prefixes: _Lines
    """Of the names of models that it is for, in lower case, without their owner; none: it is
    chosen by its own name alone."""
    identity: str = ""
    """One sentence that says who the model is; empty: it goes by its own name."""
    form: Form = "own"
    """``mini-swe-agent``: the ``text`` protocol to the letter of that program's first version."""
    small: Variant = Field(default_factory=Variant)
    """What differs for models of at most 4 billion parameters, by their name."""
    swebench: BenchmarkSettings = Field(default_factory=BenchmarkSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Settled for one model."""

    name: str
    identity: str
    protocol: Protocol = "tools"
    form: Form = "own"
    lines: tuple[str, ...] = ()
    brief: bool = False
    temperature: float = 0.0
    top_p: float | None = None
    max_reply_tokens: int = 2048
    tools: tuple[str, ...] = ("bash", "edit", "submit")
    harness: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of ``Harness`` that differ from its defaults."""
    swebench: BenchmarkSettings = field(default_factory=BenchmarkSettings)


def settled(name: str, file: ProfileFile, model: str) -> Profile:
    """What the file says about this model."""
    parts = [file, file.small] if is_small(model) else [file]
    told: dict[str, Any] = {}
    harness: dict[str, Any] = {}
    for part in parts:
        told |= part.model_dump(exclude_none=True, include=set(Variant.model_fields) - {"harness"})
        harness |= part.harness.model_dump(exclude_none=True, exclude={"profile"})
    return Profile(
        name=name,
        identity=file.identity or f"You are {base_name(model)}.",
        form=file.form,
        harness=harness,
        swebench=file.swebench,
        **told,
    )


def base_name(model: str) -> str:
    """A model's name without its owner or folder."""
    return model.rsplit("/", 1)[-1]


def is_small(model: str) -> bool:
    """Whether the model's name says that it is; of several sizes in it the first counts."""
    size = _SIZE.search(base_name(model).lower())
    return size is not None and float(size[1]) * _UNIT[size[2]] <= SMALL_PARAMETERS
