"""A question about a call: the call as it would run, and why it is asked for."""

from __future__ import annotations

from rich.text import Text

from rnj_agent.agent.modes import Question
from rnj_agent.agent.tui.draw.call import call_arguments
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.wording import describe_call, printable
from rnj_agent.tools.danger import Grade, Span


def draw_question(question: Question, palette: Palette) -> Text:
    """The call with its dangerous parts marked, and below it what is feared of each."""
    graded = [span for span in question.grading.spans if span.grade >= Grade.DANGEROUS]
    text = Text("The model wants to run:\n", style=palette.dim)
    text.append_text(_command(question, graded, palette))
    for reason in dict.fromkeys(span.reason for span in graded):
        text.append(f"\n{reason}", palette.warning)
    return text


def _command(question: Question, graded: list[Span], palette: Palette) -> Text:
    command = call_arguments(question.call).get("command")
    if question.call.name != "bash" or not isinstance(command, str):
        return Text(printable(describe_call(question.call)), style=palette.user)
    # Spans count in the raw text: a control character must not move them.
    text = Text("".join(printable(character) or "\ufffd" for character in command))
    text.stylize(palette.user)
    for span in graded:
        style = palette.error if span.grade >= Grade.DESTRUCTIVE else palette.warning
        text.stylize(style, span.start, span.end)
        text.stylize("reverse", span.start, span.end)
    return Text.assemble(("$ ", palette.accent), text)
