"""What the model wants to run, with the dangerous part marked, and the answers to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from rnj_agent.agent.approval import Decision
from rnj_agent.agent.modes import Answer, Question
from rnj_agent.agent.tui.draw.palette import Palette
from rnj_agent.agent.tui.draw.question import draw_question
from rnj_agent.agent.tui.keymap import KEYS, Key, bindings


class QuestionPanel(Vertical, can_focus=True):
    """Holds the focus until it is answered; ``answer`` is then set."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("question")]

    def __init__(self, question: Question, palette: Palette, keys: Sequence[Key] = KEYS) -> None:
        super().__init__()
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._question = question
        self._palette = palette
        self._keys = {key.id: key.keys.partition(",")[0] for key in keys}

    def compose(self) -> ComposeResult:
        yield Static(draw_question(self._question, self._palette))
        yield Static(self._answers(), id="answers")
        word = Input(placeholder="Say what to do instead, or nothing; Enter sends", id="word")
        word.display = False
        yield word

    def on_mount(self) -> None:
        self.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a word is being written, the keys are letters."""
        return self.has_focus or action not in {"answer", "reject_with_word"}

    def action_answer(self, decision: Decision) -> None:
        self._give(Answer(decision=decision))

    def action_reject_with_word(self) -> None:
        self.query_one("#answers").display = False
        word = self.query_one("#word", Input)
        word.display = True
        word.focus()

    @on(Input.Submitted, "#word")
    def _reject(self, event: Input.Submitted) -> None:
        event.stop()
        self._give(Answer(decision="reject_once", word=event.value))

    def take_back_word(self) -> bool:
        """Leave the line for a word again; False where none was being written."""
        word = self.query_one("#word", Input)
        if not word.display:
            return False
        word.display = False
        self.query_one("#answers").display = True
        self.focus()
        return True

    def _give(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def _answers(self) -> Text:
        always = " and ".join(map(str, self._question.patterns)) or "exactly this"
        accent, keys = self._palette.accent, self._keys
        return Text.assemble(
            (keys["allow_once"], accent), " once   ",
            (keys["allow_always"], accent), f" always in this session: {always}   ",
            (keys["reject_once"], accent), " no   ",
            (keys["reject_with_word"], accent), " no, with a word",
        )  # fmt: skip
