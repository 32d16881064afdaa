"""The loop's own short lines to the model, for replies that it cannot act on.

Each is one line and holds nothing that could be copied as a command: small models parrot.
"""

from __future__ import annotations

from collections.abc import Iterable

SETTLED = "the tests that failed before pass"
INTERRUPTED = "interrupted before it finished"
REJECTED = "The user did not allow this call. Do something else."
PLAN_ONLY = (
    "Not run: this is plan mode, where only commands that read are run. Look further, or answer "
    "with your plan."
)


def rejected_with(word: str) -> str:
    return f"The user did not allow this call and says: {word}"


def no_tool_call(names: Iterable[str], *, empty: bool) -> str:
    what = "Your reply was empty." if empty else "Your reply held no tool call."
    return f"{what} Call exactly one tool: {_listed(names)}."


def no_bash_block(*, empty: bool) -> str:
    what = "Your reply was empty." if empty else "Your reply held no bash block."
    return f"{what} Give a THOUGHT and then exactly one fenced bash block."


def broken_call(why: str) -> str:
    return f"Your call could not be run: {why}. Write one complete call and nothing after it."


def cut_reply(max_tokens: int) -> str:
    return (
        f"Your reply reached the limit of {max_tokens} tokens before it held a complete call. "
        "Be brief: one small call."
    )


def unknown_tool(name: str, names: Iterable[str]) -> str:
    return f"There is no tool named {name[:60]!r}. The tools are {_listed(names)}."


def _listed(names: Iterable[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} or {last}" if most else last
