"""The body of POST /v1/chat/completions, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.generation_config import GenerationConfig
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.server.wire import Wire
from rnj_agent.runtime.server.wire_messages import (
    NamedTool,
    WireMessage,
    WireTool,
    WireToolChoice,
)
from rnj_agent.runtime.server.wire_sampling import MAX_TOP_LOGPROBS, PositiveInt, SamplingFields

MAX_MESSAGES = 10_000
MAX_TOOLS = 256

LOST_FIELDS = (
    "functions",
    "function_call",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
)
"""Of older or other APIs: ignoring them would change the answer, so they are refused."""


class StreamOptions(Wire):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class JsonSchemaFormat(Wire):
    model_config = ConfigDict(populate_by_name=True)

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: dict[str, JsonValue] = Field(alias="schema")
    strict: bool | None = None
    """The schema is kept to either way: text that leaves it is never sampled."""


class ResponseFormat(Wire):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("type json_schema needs a json_schema")
        return self


class ChatRequest(SamplingFields):
    model: str | None = None
    messages: Annotated[list[WireMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: Annotated[list[WireTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: WireToolChoice = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: PositiveInt | None = None
    response_format: ResponseFormat | None = None
    reply_form: Literal["free", "call", "bash_block"] | None = None
    """Ours. ``free``: nothing holds calls to their form. ``call``: some words and a call.
    ``bash_block``: some words and a bash block. A wish: it yields to the fields above."""
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_lost_fields(cls, body: Any) -> Any:
        lost = [name for name in LOST_FIELDS if isinstance(body, Mapping) and body.get(name)]
        if lost:
            raise ValueError(f"{lost[0]} is not supported; use tools or response_format instead")
        return body

    def template_messages(self) -> list[dict[str, Any]]:
        return [message.for_template() for message in self.messages]

    def template_tools(self) -> list[dict[str, Any]] | None:
        """What the model is shown; with ``tool_choice`` none it is shown no tools."""
        if not self.tools or self.tool_choice == "none":
            return None
        return [tool.for_template() for tool in self.tools]

    def sampling_params(self, defaults: GenerationConfig, *, vocab_size: int) -> SamplingParams:
        return self.drawn_with(
            defaults,
            vocab_size=vocab_size,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    @property
    def wants_json(self) -> bool:
        return self.response_format is not None and self.response_format.type != "text"

    def check_fields_together(self) -> None:
        """Refuse what each field allows and all of them do not.

        Raises:
            RequestError: naming the field.
        """
        if self.top_logprobs is not None and not self.logprobs:
            raise _refused("top_logprobs", "needs logprobs: true")
        if self.tool_choice in (None, "none"):
            return
        names = {tool.function.name for tool in self.tools or ()}
        if not names and self.tool_choice != "auto":
            raise _refused("tool_choice", "needs tools")
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise _refused(
                "tool_choice", f"there is no tool {self.tool_choice.function.name[:80]!r}"
            )


def _refused(param: str, why: str) -> RequestError:
    return RequestError(f"{param}: {why}.", param=param, code="invalid_value")
