"""What stays of what the model said long ago: its first words and its call, without long texts.

What is left out of a call is left out whole. Small models copy what they see in their own history:
half a text with a note in it would be written into a file. What stands here instead does nothing
where it is copied: a command that is all comment, an edit of nothing into nothing, and an empty
block are refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final, cast

from rnj_agent.agent.aging.deeds import names_a_file
from rnj_agent.agent.messages import AssistantMessage, ToolCall
from rnj_agent.agent.wording import counted

_HERE_DOCUMENT: Final = re.compile(
    r"^(?P<before>[^\n]*?)<<-?[ \t]*['\"\\]?(?P<mark>\w+)['\"]?(?P<after>[^\n]*)\n"
    r"(?P<body>.*?)^[ \t]*(?P=mark)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_TARGET: Final = re.compile(r">{1,2}\s*([^\s<>|&;]+)")
_OPENING: Final = r"```(?P<info>[^`\n]*)\n\s*(?P<command>[^`\n]*<<[^\n]*\n)?(?={text})"
_COMMENT_CHARS: Final = 60


def shortened(
    message: AssistantMessage, call: ToolCall | None, *, prose_chars: int, call_chars: int
) -> AssistantMessage:
    """The message as it may stand when it is old: no reasoning, bounded prose, a short call.

    Args:
        message: in either protocol.
        call: what it asked for; None where no call could be read.
        prose_chars: what is said beside the call, at most about so much.
        call_chars: a call up to this size stays as it is.
    """
    calls = tuple(
        asked
        if len(asked.arguments) <= call_chars
        else replace(asked, arguments=_arguments(asked, call_chars))
        for asked in message.tool_calls
    )
    if call is None or calls:
        content = _prose(message.content, prose_chars)
    else:
        content = _block(message.content, call, prose_chars, call_chars)
    return replace(message, content=content, tool_calls=calls, reasoning="")


def shortened_command(command: str, max_chars: int) -> str:
    """A command without its here-documents, or a comment in its place; no longer than it was."""

    def comment(found: re.Match[str]) -> str:
        return _without_body(found, max_chars)

    text = _HERE_DOCUMENT.sub(comment, command)
    if len(text) > max_chars:
        lines = command.strip().splitlines()
        size = counted(len(lines), "line")
        text = f"# {lines[0][:_COMMENT_CHARS] if lines else ''} … {size}, left out here"
    return min(text, command, key=len)


def _without_body(found: re.Match[str], max_chars: int) -> str:
    body = found["body"]
    if len(body) <= max_chars // 2:
        return found[0]
    before = f"{found['before']}{found['after']}"
    target = _TARGET.search(before)
    what = f"wrote {target[1]}" if target else before.strip()[:_COMMENT_CHARS]
    where = ", read the file for them" if target else ""
    return f"# {what}: {counted(body.count(chr(10)), 'line')}, left out here{where}"


def _block(content: str, call: ToolCall, prose_chars: int, call_chars: int) -> str:
    """Words and a block, as words and a block; as it was where that cannot be made out."""
    texts = _texts(call.arguments)
    text = texts.get("content" if call.name == "write" else "command", "").strip("\n")
    opening = re.search(_OPENING.format(text=re.escape(text)), content)
    if not text or opening is None:
        return content
    prose = content[: opening.start()].rstrip()
    gap = content[len(prose) : opening.start()]
    begin, closing = opening.end("info") + 1, content.find("```", opening.end() + len(text))
    end = closing if closing >= 0 else len(content)
    body, after = content[begin:end], content[end:]
    if len(body) > call_chars:
        if call.name == "write" and not opening["command"]:
            after += f"\n[{counted(text.count(chr(10)) + 1, 'line')}, left out here]"
            body = ""
        else:
            body = shortened_command(body.rstrip("\n"), call_chars) + "\n"
    fence = content[opening.start() : begin]
    return f"{_prose(prose, prose_chars)}{gap}{fence}{body}{_prose(after, prose_chars)}"


def _prose(text: str, max_chars: int) -> str:
    if len(text) <= max_chars + len(" [shortened]"):
        return text
    return f"{text[:max_chars]} [shortened]"


def _arguments(call: ToolCall, max_chars: int) -> str:
    """JSON as it was, no longer than it was."""
    texts = _texts(call.arguments)
    if call.name == "bash":
        kept = {name: shortened_command(text, max_chars) for name, text in texts.items()}
    else:
        kept = {name: text if names_a_file(name) else "" for name, text in texts.items()}
    return min(json.dumps(kept), call.arguments, key=len) if texts else call.arguments


def _texts(arguments: str) -> dict[str, str]:
    """Those arguments that are text: a number without them is of no use."""
    try:
        parsed: object = json.loads(arguments)
    except ValueError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    values = cast(dict[str, object], parsed)
    return {name: value for name, value in values.items() if isinstance(value, str)}
