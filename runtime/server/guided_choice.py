"""Which grammar a chat request asks for, if any."""

from __future__ import annotations

from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.guided.spec import (
    BashBlock,
    GuidedSpec,
    JsonObject,
    JsonSchema,
    ToolCalls,
)
from rnj_agent.runtime.server.wire_chat import ChatRequest, ResponseFormat
from rnj_agent.runtime.server.wire_messages import NamedTool


def guided_spec(chat: ChatRequest) -> GuidedSpec | None:
    """What the reply is held to; None: it is free.

    Raises:
        RequestError: free text with calls and JSON are asked for at the same time.
    """
    tools = chat.template_tools()
    if tools is None:
        return _format_spec(chat.response_format) or _block_spec(chat)
    choice = chat.tool_choice
    if chat.wants_json and choice in (None, "auto"):
        raise RequestError(
            "response_format: JSON and tools together need tool_choice none or required.",
            param="response_format",
            code="unsupported_value",
        )
    is_open = choice in (None, "auto")
    if is_open and chat.reply_form == "free":
        return None
    if is_open and chat.reply_form == "call":
        parallel = chat.parallel_tool_calls is not False
        return ToolCalls(tools=tools, choice="required", parallel=parallel, with_words=True)
    return ToolCalls(
        tools=tools,
        choice=choice.function.name if isinstance(choice, NamedTool) else choice or "auto",
        parallel=chat.parallel_tool_calls is not False,
    )


def check_unguided(chat: ChatRequest) -> None:
    """Refuse what only a grammar can promise, on a server that runs without.

    Raises:
        RequestError: naming the field.
    """
    if chat.wants_json:
        raise _needs_guiding("response_format")
    if chat.template_tools() is not None and chat.tool_choice not in (None, "auto"):
        raise _needs_guiding("tool_choice")


def _needs_guiding(param: str) -> RequestError:
    return RequestError(
        f"{param}: this server runs with --no-guided and cannot hold a reply to it.",
        param=param,
        code="unsupported_value",
    )


def _block_spec(chat: ChatRequest) -> GuidedSpec | None:
    return BashBlock() if chat.reply_form == "bash_block" else None


def _format_spec(response_format: ResponseFormat | None) -> GuidedSpec | None:
    if response_format is None or response_format.type == "text":
        return None
    if response_format.json_schema is None:
        return JsonObject()
    return JsonSchema(schema=response_format.json_schema.schema_)
