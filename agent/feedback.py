"""The loop's own short lines to the model, for replies that it cannot act on.

Each is one line and holds nothing that could be copied as a command: small models parrot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

SETTLED = "the tests that failed before pass"
INTERRUPTED = "interrupted before it finished"
REJECTED = "The user did not allow this call. Do something else."
PLAN_ONLY = (
    "Not run: this is plan mode, where only commands that read are run. Look further, or answer "
    "with your plan."
)


def rejected_with(word: str) -> str:
    return f"The user did not allow this call and says: {word}"


def no_tool_call(signatures: Mapping[str, Sequence[str]], *, empty: bool) -> str:
    """``signatures``: each tool's name, and the arguments that matter."""
    what = "Your reply was empty." if empty else "Your reply held no tool call."
    calls = [f"{name} with {_all(texts)}" for name, texts in signatures.items()]
    return f"{what} Call exactly one tool: {_one_of(calls)}."


def no_bash_block(*, empty: bool) -> str:
    what = "Your reply was empty." if empty else "Your reply held no bash block."
    return f"{what} Give a THOUGHT and then exactly one fenced bash block."


def no_block(*, empty: bool) -> str:
    what = "Your reply was empty." if empty else "Your reply held no code block."
    return f"{what} Give a THOUGHT and then one code block: corrected code, or a command."


def correction(asked: str, broken: str, cut_at: int | None) -> str:
    """What is said to a reply without a call that can be run.

    Args:
        asked: the line for one that did not begin a call.
        broken: why the call that it began is none.
        cut_at: the tokens at which it was cut off; None: it ended by itself.
    """
    if cut_at is not None:
        return cut_reply(cut_at)
    return broken_call(broken) if broken else asked


def broken_call(why: str) -> str:
    return f"Your call could not be run: {why}. Write one complete call and nothing after it."


def cut_reply(max_tokens: int) -> str:
    return (
        f"Your reply reached the limit of {max_tokens} tokens before it held a complete call. "
        "Be brief: one small call."
    )


def unknown_tool(name: str, names: Iterable[str]) -> str:
    return f"There is no tool named {name[:60]!r}. The tools are {_one_of(sorted(names))}."


def _one_of(items: Sequence[str]) -> str:
    return _joined(items, "or")


def _all(items: Sequence[str]) -> str:
    return _joined(items, "and")


def _joined(items: Sequence[str], word: str) -> str:
    *most, last = items
    return f"{', '.join(most)} {word} {last}" if most else last
