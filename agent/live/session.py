"""An interactive session: what every front end stands on. It knows no UI.

A front end folds ``events()`` and draws ``status``; it answers the questions that it is asked
through ``ask``; everything else is a method here. How turns lie in the event stream:
``agent.events``. A user message between a StepFinished and the next StepStarted is the person's,
sent while the agent worked; within a step it is the loop's correction. The first of a turn is in
``RunStarted.task`` as the person wrote it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnj_agent.agent.config import Config
from rnj_agent.agent.ending import ending_of
from rnj_agent.agent.errors import RnjError, SessionError
from rnj_agent.agent.events import Event
from rnj_agent.agent.fix.commit import Commit
from rnj_agent.agent.live.inbox import Inbox, Item, Ordered, Said
from rnj_agent.agent.live.journal import Journal
from rnj_agent.agent.live.outcome import Outcome
from rnj_agent.agent.live.place import OpenParts, open_parts, open_place
from rnj_agent.agent.live.status import Status
from rnj_agent.agent.live.work import Work
from rnj_agent.agent.modes import Ask, Mode, Policy, default_mode
from rnj_agent.agent.session import new_session_id
from rnj_agent.agent.session_list import find_session
from rnj_agent.sandbox.errors import SandboxError, SandboxLostError

OnStatus = Callable[[Status], None]


class LiveSession:
    """One session of several turns. Used as an async context manager; entered at once.

    Everything is to be called in the event loop's thread.

    Args:
        config: the whole configuration.
        repo: a folder in the repository.
        journal: of a new session, or of one that goes on.
        ask: asks the person about a call. Cancelled where the call is interrupted.
        mode: None: the default for the sandbox in use.
    """

    def __init__(
        self, config: Config, repo: Path, journal: Journal, ask: Ask, mode: Mode | None
    ) -> None:
        self._config = config
        self._repo = repo
        self._journal = journal
        mode = mode or default_mode(config.sandbox.kind)
        self._policy = Policy(ask, mode=mode, on_host=config.sandbox.kind == "host")
        self._open_parts: OpenParts = open_parts
        self._on_status: OnStatus = _ignore
        self._inbox = Inbox(self._set)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._work: Work | None = None
        self._outcome: Outcome | None = None
        self._worker: asyncio.Task[None] | None = None
        self._status = Status(
            phase="starting", mode=mode, session_id=journal.session_id, cwd=str(repo)
        )

    @classmethod
    def open(
        cls,
        config: Config,
        repo: Path,
        *,
        ask: Ask,
        on_status: OnStatus | None = None,
        mode: Mode | None = None,
        parts: OpenParts = open_parts,
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
            parts: opens model and sandbox.
        """
        session = cls(config, repo, Journal(new_session_id()), ask, mode)
        session._on_status = on_status or _ignore
        session._open_parts = parts
        return session

    @classmethod
    def resume(
        cls,
        config: Config,
        name: str,
        *,
        ask: Ask,
        on_status: OnStatus | None = None,
        mode: Mode | None = None,
        parts: OpenParts = open_parts,
    ) -> Self:
        """Go on with a saved session: ``name`` as for ``find_session``. Like ``open`` otherwise.

        ``events()`` begins with what was saved. A session that was killed is closed in order first.

        Raises:
            SessionError: no such session, or it is open elsewhere.
        """
        journal = Journal(find_session(name).id, goes_on=True)
        started = journal.marks.started
        repo = Path(started.cwd) if started is not None else Path()
        session = cls(config, repo, journal, ask, mode)
        session._on_status = on_status or _ignore
        session._open_parts = parts
        return session

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._live())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Interrupt what runs, save what stands, and leave nothing behind but the saved session."""
        assert self._worker is not None
        self.interrupt()
        async with self._turn:
            self._worker.cancel()
        await asyncio.wait([self._worker])
        self._journal.finish()
        self._set(phase="closed")

    @property
    def status(self) -> Status:
        return self._status

    @property
    def mode(self) -> Mode:
        """May be set at any time; holds from the next call on.

        ``plan`` is told to the model with the next turn.
        """
        return self._policy.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._policy.mode = mode
        self._set(mode=mode)

    @property
    def allowed(self) -> tuple[str, ...]:
        """What the person has allowed for this session, as they read it."""
        return tuple(map(str, self._policy.allowed))

    def events(self, *, past: bool = True) -> AsyncGenerator[Event]:
        """All events of the session from its beginning, and then as they happen, until it closes.

        Any number of consumers; none holds the session up. Notices of the start are only seen by
        those who listen then or come later in this process; they are not saved.

        Args:
            past: False: only what happens from the first request for an event on.
        """
        return self._journal.events(past=past)

    def send(self, text: str) -> None:
        """A message of the person's; while the session starts, it waits.

        While the agent works it joins at the next step, or becomes the next turn where the turn
        has ended by then.

        Raises:
            SessionError: the session has failed or is closed.
        """
        self._put(Said(text))

    def run_command(self, command: str) -> None:
        """Run a command of the person's in the sandbox, unasked, where the shell stands.

        The model reads of it with its next step. While the agent works it waits for the step's
        end.

        Raises:
            SessionError: the session has failed or is closed.
        """
        self._put(Ordered(command))

    def interrupt(self) -> None:
        """End what runs now, at once and in order; what is queued waits for the next ``send``.

        Nothing happens where nothing runs.
        """
        self._inbox.hold()
        if self._work is not None and self._status.phase == "working":
            self._work.interrupt()

    def unqueue(self) -> tuple[str, ...]:
        """Take back what waits, oldest first, for the person to edit; commands with their ``!``."""
        return self._inbox.clear()

    async def idle(self) -> None:
        """Wait until nothing runs and nothing goes on by itself, or it has failed or closed."""
        while not self._is_settled:
            self._changed.clear()
            await self._changed.wait()

    async def undo(self, step: int) -> str:
        """Go back to before a step: files, with what commands did to them, and history.

        Interrupts what runs. What was said right before the step is undone with it, and returned,
        so that it can be said anew.

        Raises:
            SessionError: there is no such step, it is undone already, or its files were not kept.
            SandboxError: the files cannot be restored.
        """
        self.interrupt()
        async with self._turn:
            return await self._open_work().undo(step)

    async def redo(self) -> None:
        """Take the last undo back, where nothing has happened since.

        Raises:
            SessionError: there is nothing to take back.
            SandboxError: the files cannot be restored.
        """
        self.interrupt()
        async with self._turn:
            await self._open_work().redo()

    async def patch(self) -> str:
        """The unified diff of the session as it stands, against what the user saw at its start.

        Raises:
            SandboxError, RnjError: as from ``Workspace.collect``.
        """
        return await self._open_work().patch()

    async def apply(self) -> str:
        """Write what was not delivered yet into the working tree: one line that says what was done.

        Raises:
            SessionError: the agent is working.
            WorkspaceError: there is nothing to write, the files there are not as they were when
                they were copied, or the disk refuses; nothing was written.
        """
        async with self._at_rest() as outcome:
            return await outcome.apply()

    async def commit(self, message: str) -> Commit:
        """Commit what was not delivered yet on the current branch; working tree and index follow.

        Raises:
            SessionError: the agent is working.
            WorkspaceError: as from ``apply``, and from ``choose_target``.
        """
        async with self._at_rest() as outcome:
            return await outcome.commit(message, None)

    async def branch(self, name: str, message: str) -> Commit:
        """Commit what was not delivered yet on a new branch from HEAD; the working tree stays.

        Raises:
            SessionError: the agent is working.
            WorkspaceError: as from ``apply``, and from ``choose_target``.
        """
        async with self._at_rest() as outcome:
            return await outcome.commit(message, name)

    async def _live(self) -> None:
        """The session's life: opened, serving, closed."""
        try:
            async with open_place(
                self._config, self._repo, self._journal, self._open_parts
            ) as place:
                parts = place.parts
                self._work = Work(self._config, place, self._journal, self._policy, self._inbox)
                self._outcome = Outcome(place, self._journal)
                self._set(
                    phase="ready",
                    cwd=str(place.cwd),
                    model=parts.model.info,
                    sandbox=parts.sandbox.info,
                    agents=place.agents,
                )
                await self._serve(self._work)
        except (RnjError, SandboxError) as error:
            self._fail(error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - the edge: nobody awaits this task
            self._fail(ending_of(error).detail, "")
        finally:
            self._work = self._outcome = None

    async def _serve(self, work: Work) -> None:
        while True:
            item = await self._inbox.next()
            work.rearm()
            self._set(phase="working")
            async with self._turn:
                finished = await work.do(item)
            if finished is not None and finished.reason == "sandbox_error":
                hint = f"rnj-agent sessions resume {self._journal.session_id}"
                raise SandboxLostError(finished.detail, hint=hint)
            self._set(phase="ready")

    def _put(self, item: Item) -> None:
        if self._status.phase in {"failed", "closed"}:
            why = self._status.failure or "the session is closed"
            raise SessionError(why, hint=self._status.hint)
        self._inbox.put(item)

    def _open_work(self) -> Work:
        if self._work is None:
            raise SessionError(f"the session is {self._status.phase}", hint=self._status.hint)
        return self._work

    @asynccontextmanager
    async def _at_rest(self) -> AsyncGenerator[Outcome]:
        if self._outcome is None or self._status.phase != "ready":
            raise SessionError(f"the session is {self._status.phase}; wait, or interrupt it")
        async with self._turn:
            yield self._outcome

    @property
    def _is_settled(self) -> bool:
        match self._status.phase:
            case "failed" | "closed":
                return True
            case "ready":
                return not self._inbox.waits
            case "starting" | "working":
                return False

    def _fail(self, message: str, hint: str) -> None:
        """The status tells it, and nothing else: whoever shows it shows it once."""
        self._set(phase="failed", failure=message, hint=hint)

    def _set(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes, queued=self._inbox.texts)
        self._changed.set()
        self._on_status(self._status)


def _ignore(status: Status) -> None:
    """No front end looks."""
