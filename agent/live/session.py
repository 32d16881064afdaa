"""An interactive session: what every front end stands on. It knows no UI.

A front end folds ``events()`` and draws ``status``; it answers the questions that it is asked
through ``ask``; everything else is a method here. How turns lie in the event stream:
``agent.events``. A user message between a StepFinished and the next StepStarted is the person's,
sent while the agent worked; within a step it is the loop's correction. The first of a turn is in
``RunStarted.task`` as the person wrote it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from rnj_agent.agent.config import Config
from rnj_agent.agent.events import Event
from rnj_agent.agent.fix.commit import Commit
from rnj_agent.agent.live.status import Status
from rnj_agent.agent.modes import Ask, Mode

OnStatus = Callable[[Status], None]


class LiveSession:
    """One session of several turns. Used as an async context manager; entered at once.

    Everything is to be called in the event loop's thread.
    """

    @classmethod
    def open(
        cls,
        config: Config,
        repo: Path,
        *,
        ask: Ask,
        on_status: OnStatus | None = None,
        mode: Mode | None = None,
    ) -> Self:
        """A new session on the repository that ``repo`` lies in.

        Entering it returns at once; files, sandbox and model follow behind it, told by Notices and
        ``status``. What goes wrong then is in ``status.failure``; nothing is raised.

        Args:
            config: the whole configuration.
            repo: a folder in the repository.
            ask: asks the person about a call. Cancelled where the call is interrupted.
            on_status: called with each new status, quickly.
            mode: None: the default for the sandbox in use.
        """
        raise NotImplementedError

    @classmethod
    def resume(
        cls,
        config: Config,
        name: str,
        *,
        ask: Ask,
        on_status: OnStatus | None = None,
        mode: Mode | None = None,
    ) -> Self:
        """Go on with a saved session: ``name`` as for ``find_session``. Like ``open`` otherwise.

        ``events()`` begins with what was saved. A session that was killed is closed in order first.

        Raises:
            SessionError: no such session, or it is open elsewhere.
        """
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Interrupt what runs, save what stands, and leave nothing behind but the saved session."""
        raise NotImplementedError

    @property
    def status(self) -> Status:
        raise NotImplementedError

    @property
    def mode(self) -> Mode:
        """May be set at any time; holds from the next call on. ``plan`` is told to the model with
        the next message.
        """
        raise NotImplementedError

    @mode.setter
    def mode(self, mode: Mode) -> None:
        raise NotImplementedError

    def events(self) -> AsyncGenerator[Event]:
        """All events of the session from its beginning, and then as they happen, until it closes.

        Any number of consumers; none holds the session up. Notices of the start are only seen by
        those who listen then or come later in this process; they are not saved.
        """
        raise NotImplementedError

    def send(self, text: str) -> None:
        """A message of the person's. While the agent works it joins at the next step, or becomes
        the next turn where the turn has ended by then.
        """
        raise NotImplementedError

    def run_command(self, command: str) -> None:
        """Run a command of the person's in the sandbox, unasked, where the shell stands; the model
        reads of it with its next step. While the agent works it waits for the step's end.
        """
        raise NotImplementedError

    def interrupt(self) -> None:
        """End what runs now, at once and in order; what is queued waits for the next ``send``.
        Nothing happens where nothing runs.
        """
        raise NotImplementedError

    def unqueue(self) -> tuple[str, ...]:
        """Take back what waits, oldest first, for the person to edit."""
        raise NotImplementedError

    async def idle(self) -> None:
        """Wait until nothing runs and nothing waits, or until it has failed or closed."""
        raise NotImplementedError

    async def undo(self, step: int) -> str:
        """Go back to before a step: files, with what commands did to them, and history.

        Interrupts what runs. What was said right before the step is undone with it, and returned,
        so that it can be said anew.

        Raises:
            SessionError: there is no such step, or it is undone already.
            SandboxError: the files cannot be restored.
        """
        raise NotImplementedError

    async def redo(self) -> None:
        """Take the last undo back, where nothing has happened since.

        Raises:
            SessionError: there is nothing to take back.
            SandboxError: the files cannot be restored.
        """
        raise NotImplementedError

    async def patch(self) -> str:
        """The unified diff of the session as it stands, against what the user saw at its start.

        Raises:
            SandboxError, RnjError: as from ``Workspace.collect``.
        """
        raise NotImplementedError

    async def apply(self) -> str:
        """Write what was not delivered yet into the working tree: one line that says what was done.

        Raises:
            WorkspaceError: there is nothing to write, the files there are not as they were when
                they were copied, or the disk refuses; nothing was written.
        """
        raise NotImplementedError

    async def commit(self, message: str) -> Commit:
        """Commit what was not delivered yet on the current branch; working tree and index follow.

        Raises:
            WorkspaceError: as from ``apply``, and from ``choose_target``.
        """
        raise NotImplementedError

    async def branch(self, name: str, message: str) -> Commit:
        """Commit what was not delivered yet on a new branch from HEAD; the working tree stays.

        Raises:
            WorkspaceError: as from ``apply``, and from ``choose_target``.
        """
        raise NotImplementedError
