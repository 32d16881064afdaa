"""The messages that the model is sent, as a fold over events. Nothing else writes them.

So what a session file replays to is what the model saw, by construction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rnj_agent.agent.events import (
    CommandFinished,
    ContextCompacted,
    Event,
    MessageFinished,
    Protocol,
    Redone,
    Rewound,
    RunFinished,
    RunStarted,
    StartedOver,
    ToolCallFinished,
    ToolCallStarted,
)
from rnj_agent.agent.feedback import INTERRUPTED
from rnj_agent.agent.messages import (
    AssistantMessage,
    Message,
    ToolCall,
    ToolMessage,
    UserMessage,
)


class History:
    """Appended to; only ``ContextCompacted`` changes what stands, and only results of calls and
    what the model said, and only ``Rewound`` and ``StartedOver`` take away, and only from the end.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.results: dict[str, int] = {}
        """Where the result of each call, and of each command of the person's, stands; oldest
        first."""
        self.calls: dict[str, ToolCall] = {}
        """What was called, by the call's id."""
        self.answers: set[int] = set()
        """Where the model's last words of each run stand."""
        self._protocol: Protocol = "tools"
        self._run_begin: int | None = None
        """Where the run's first user message stands, once it does."""
        self._before_cut: tuple[list[Message], dict[str, int]] = ([], {})

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._protocol, self._run_begin = event.protocol, None
            case MessageFinished():
                self._say(event.message)
            case ToolCallStarted():
                self.calls[event.call.id] = event.call
            case ToolCallFinished():
                self._tell(event.call_id, self._result(event.call_id, event.content))
            case CommandFinished():
                self._tell(event.command_id, UserMessage(content=event.content))
            case ContextCompacted() | StartedOver() | Rewound() | Redone():
                self._change(event)
            case RunFinished():
                self.answers.add(len(self.messages) - 1)
            case _:
                pass  # shown to people, not to the model

    def _change(self, event: ContextCompacted | StartedOver | Rewound | Redone) -> None:
        match event:
            case ContextCompacted():
                self.messages = self.with_changes(event.replaced, event.rewritten)
            case StartedOver():
                self._cut(self._run_begin or 0)
                self._say(event.message)
            case Rewound():
                self._cut(event.num_messages)
            case Redone():
                self.messages, self.results = self._before_cut

    def _tell(self, call_id: str, result: Message) -> None:
        self.results[call_id] = len(self.messages)
        self.messages.append(result)

    def _say(self, message: Message) -> None:
        if self._run_begin is None and isinstance(message, UserMessage):
            self._run_begin = len(self.messages)
        self.messages.append(message)

    def _cut(self, num_messages: int) -> None:
        self._before_cut = self.messages, self.results
        self.messages = self.messages[:num_messages]
        self.results = {
            call_id: index for call_id, index in self.results.items() if index < num_messages
        }

    def with_changes(
        self, replaced: Iterable[tuple[str, str]], rewritten: Iterable[tuple[int, Message]]
    ) -> list[Message]:
        """The messages as they would be after a ``ContextCompacted`` with these."""
        messages = list(self.messages)
        for call_id, content in replaced:
            index = self.results[call_id]
            messages[index] = replace(messages[index], content=content)
        for index, message in rewritten:
            messages[index] = message
        return messages

    def _result(self, call_id: str, content: str) -> Message:
        if self._protocol != "tools":
            return UserMessage(content=content)
        return ToolMessage(tool_call_id=call_id, content=content)


def history(events: Iterable[Event]) -> list[Message]:
    """The messages that stand after ``events``: what a session that goes on begins with.

    A call whose result was never recorded, because the run was killed, is answered as interrupted:
    servers refuse a history with a call that has no answer.
    """
    fold = History()
    for event in events:
        fold.apply(event)
    messages = fold.messages
    match messages[-1:]:
        case [AssistantMessage(tool_calls=calls)]:
            unanswered = [call.id for call in calls if call.id not in fold.results]
        case _:
            unanswered = []
    told = [ToolMessage(tool_call_id=call_id, content=INTERRUPTED) for call_id in unanswered]
    return [*messages, *told]
