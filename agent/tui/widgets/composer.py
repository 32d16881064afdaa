"""The prompt with what belongs to it: what waits to be sent, and completions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import TextArea

from rnj_agent.agent.tui.commands import COMMANDS
from rnj_agent.agent.tui.completion import Wanted, best_matches, repository_files, wanted
from rnj_agent.agent.tui.input_history import InputHistory
from rnj_agent.agent.tui.widgets.completions import Completions
from rnj_agent.agent.tui.widgets.prompt import Prompt
from rnj_agent.agent.tui.widgets.queued import Queued


class Composer(Vertical):
    """Completes commands and files; what is sent comes from the prompt itself."""

    def __init__(self, repository: Path, sent: InputHistory) -> None:
        super().__init__()
        self._repository = repository
        self._sent = sent
        self._files: Sequence[str] | None = None

    def compose(self) -> ComposeResult:
        yield Queued()
        yield Completions()
        yield Prompt(self._sent)

    @property
    def prompt(self) -> Prompt:
        return self.query_one(Prompt)

    def close_choice(self) -> bool:
        """Hide the completions; False where none were shown."""
        was_shown = self.prompt.has_choice
        self._offer(())
        return was_shown

    @on(TextArea.Changed)
    def _text_changed(self) -> None:
        word = wanted(self.prompt.before_cursor)
        match word:
            case Wanted(kind="command"):
                helps = {command.name: command.help for command in COMMANDS}
                self._offer([(n, helps[n]) for n in best_matches(word.word, helps)])
            case Wanted() if self._files is None:
                self._find_files()
            case Wanted():
                names = best_matches(word.word, self._files or ())
                self._offer([(name, "") for name in names if name != word.word])
            case None:
                self._offer(())

    @work(exclusive=True)
    async def _find_files(self) -> None:
        self._files = await asyncio.to_thread(repository_files, self._repository)
        self._text_changed()

    def _offer(self, choices: Sequence[tuple[str, str]]) -> None:
        self.query_one(Completions).show(choices)
        self.prompt.has_choice = bool(choices)

    @on(Prompt.CompletionWanted)
    def _complete(self, event: Prompt.CompletionWanted) -> None:
        """Take the marked completion. Where it stands there already, the text is sent."""
        word, choice = wanted(self.prompt.before_cursor), self.query_one(Completions).marked
        is_whole = word is None or not choice or word == Wanted(kind="command", word=choice)
        self.close_choice()
        if word is not None and not is_whole:
            self.prompt.complete(word.word, choice + ("" if choice.endswith("/") else " "))
        elif event.or_send:
            # As if the prompt did it by itself: what its parent sends does not bubble past it.
            self.prompt.call_later(self.prompt.submit)

    @on(Prompt.Moved)
    def _move(self, event: Prompt.Moved) -> None:
        self.query_one(Completions).move(event.step)
