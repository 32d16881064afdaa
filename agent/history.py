"""The messages that the model is sent, as a fold over events. Nothing else writes them.

So what a session file replays to is what the model saw, by construction.
"""

from __future__ import annotations

from collections.abc import Iterable

from rnj_agent.agent.events import (
    CommandFinished,
    ContextCompacted,
    Event,
    MessageFinished,
    Protocol,
    Redone,
    Rewound,
    RunStarted,
    ToolCallFinished,
)
from rnj_agent.agent.feedback import INTERRUPTED
from rnj_agent.agent.messages import AssistantMessage, Message, ToolMessage, UserMessage


class History:
    """Appended to; only ``ContextCompacted`` changes what stands, and only results of calls, and
    only ``Rewound`` takes away, and only from the end.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.results: dict[str, int] = {}
        """Where the result of each call stands, oldest first."""
        self._protocol: Protocol = "tools"
        self._before_cut: tuple[list[Message], dict[str, int]] = ([], {})

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._protocol = event.protocol
            case MessageFinished():
                self.messages.append(event.message)
            case ToolCallFinished():
                self.results[event.call_id] = len(self.messages)
                self.messages.append(self._result(event.call_id, event.content))
            case CommandFinished():
                self.messages.append(UserMessage(content=event.content))
            case ContextCompacted():
                self.messages = self.with_results(event.replaced)
            case Rewound():
                self._cut(event.num_messages)
            case Redone():
                self.messages, self.results = self._before_cut
            case _:
                pass  # shown to people, not to the model

    def _cut(self, num_messages: int) -> None:
        self._before_cut = self.messages, self.results
        self.messages = self.messages[:num_messages]
        self.results = {
            call_id: index for call_id, index in self.results.items() if index < num_messages
        }

    def with_results(self, replaced: Iterable[tuple[str, str]]) -> list[Message]:
        """The messages as they would be with other contents for some calls' results."""
        messages = list(self.messages)
        for call_id, content in replaced:
            messages[self.results[call_id]] = self._result(call_id, content)
        return messages

    def _result(self, call_id: str, content: str) -> Message:
        if self._protocol == "text":
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
