"""The app: it follows a session's events, draws once a frame, and hands on what the person says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from textual import constants, on, work
from textual.app import App
from textual.driver import Driver

from rnj_agent.agent.errors import RnjError
from rnj_agent.agent.events import Event
from rnj_agent.agent.modes import Answer, Question
from rnj_agent.agent.tui import deeds
from rnj_agent.agent.tui.blocks import NoticeBlock
from rnj_agent.agent.tui.collector import resume_collector
from rnj_agent.agent.tui.commands import find_command
from rnj_agent.agent.tui.follower import follow
from rnj_agent.agent.tui.keymap import FIXED, remapped
from rnj_agent.agent.tui.model_choice import choose_model
from rnj_agent.agent.tui.notification import desktop_note
from rnj_agent.agent.tui.screens.chat import ChatScreen
from rnj_agent.agent.tui.screens.fetch import FetchScreen
from rnj_agent.agent.tui.screens.pick import PickScreen
from rnj_agent.agent.tui.screens.text import TextScreen
from rnj_agent.agent.tui.sessions import find_sessions
from rnj_agent.agent.tui.state import Conversation
from rnj_agent.agent.tui.themes import DARK, PLAIN, THEMES, palette_of, wants_colour
from rnj_agent.agent.tui.widgets.prompt import Prompt
from rnj_agent.agent.wording import describe_call

if TYPE_CHECKING:
    from rnj_agent.agent.config import Config
    from rnj_agent.agent.config_layers import LoadedConfig
    from rnj_agent.agent.live.session import LiveSession
    from rnj_agent.agent.live.status import Status
    from rnj_agent.agent.tui.models import Models
    from rnj_agent.agent.tui.opener import Opener

_FRAME_S: Final = 1 / 20


class RnjApp(App[None]):
    """Live on the sessions of an ``opener``, or a replay of ``events``."""

    CSS_PATH = "app.tcss"
    TITLE = "rnj-agent"
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False  # the /commands are it

    def __init__(
        self,
        *,
        opener: Opener | None = None,
        resume: str = "",
        events: AsyncIterator[Event] | None = None,
        theme: str = "",
        models: Models | None = None,
    ) -> None:
        # Textual greys colours out that are unwanted, unless they are the terminal's own.
        has_colour = wants_colour(os.environ)
        super().__init__(ansi_color=None if has_colour else True)
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme or (DARK.name if has_colour else PLAIN.name)
        self.animation_level = "none"
        self.conversation = Conversation()
        self.session: LiveSession | None = None
        self._opener = opener
        self._resume = resume
        self._events = events
        self._models = models
        self._notifies = True
        self._status: Status | None = None
        self._frame_is_due = False
        self._frame_took_s = 0.0

    def get_driver_class(self) -> type[Driver]:
        """On what has terminals as Unix does, one that outlives its terminal."""
        if os.name != "posix" or constants.DRIVER is not None:
            return super().get_driver_class()
        from rnj_agent.agent.tui.terminal_driver import TerminalDriver

        return TerminalDriver

    def get_default_screen(self) -> ChatScreen:
        repository = self._opener.repository if self._opener else None
        return ChatScreen(palette_of(self.current_theme), repository)

    @property
    def chat(self) -> ChatScreen:
        """The main screen, whichever lies above it."""
        screen = self.screen_stack[0]
        assert isinstance(screen, ChatScreen)
        return screen

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._repaint)
        with contextlib.suppress(NotImplementedError, RuntimeError):  # not in the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._leave)
        if self._opener is not None:
            self.call_after_refresh(self.open_session, self._resume)
        elif self._events is not None:
            self.replay(self._events)

    @work
    async def replay(self, events: AsyncIterator[Event]) -> None:
        self.chat.show(self.conversation)
        await follow(events, self.conversation, self.plan_frame)
        resume_collector()

    @work(exclusive=True, group="session")
    async def open_session(self, name: str) -> None:
        """Leave the session that is open and go on with another; without a name with a new one."""
        assert self._opener is not None
        self.conversation = Conversation()
        self.chat.show(self.conversation)
        try:
            async with self._opener.open(name, self.ask, self.take_status) as session:
                self.session = session
                resume_collector()
                self.take_status(session.status)
                await follow(session.events(), self.conversation, self.plan_frame)
        except RnjError as exc:
            self.say("error", f"{exc.message} · {exc.hint}")
        finally:
            self.session = None
            resume_collector()  # where none opened

    def take_config(self, loaded: LoadedConfig) -> None:
        """Take over what the configuration says of the app; its warnings are shown.

        Raises:
            ConfigError: a key is named that is none, or has two meanings.
        """
        self.chat.keys = remapped(loaded.config.keys, loaded.origins)
        self.set_keymap({key.id: key.keys for key in self.chat.keys if key.id not in FIXED})
        self._notifies = loaded.config.ui.notify
        for warning in loaded.warnings:
            self.say("warning", warning)
        if self._models is not None:
            self._get_model(loaded.config)

    def take_status(self, status: Status) -> None:
        """Show the session's status; a failure also stands in the conversation."""
        if status.failure and (self._status is None or status.failure != self._status.failure):
            self.say("error", f"{status.failure} · {status.hint}".removesuffix(" · "))
        if self._status and (self._status.phase, status.phase) == ("working", "ready"):
            self._call_person("ready")
        self._status = status
        self.plan_frame()

    async def ask(self, question: Question) -> Answer:
        """Ask the person about a call."""
        self._call_person(f"asks: {describe_call(question.call)}")
        return await self.chat.ask(question)

    def say(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """Add a line of the app's own to the conversation; it is not part of the session."""
        self.conversation.append(NoticeBlock(level=level, text=text))
        self.plan_frame()

    @property
    def is_drawn(self) -> bool:
        """Whether the screen shows all that has happened."""
        return not self._frame_is_due

    def plan_frame(self) -> None:
        """Draw soon: later where the last time took long, so that drawing never takes it all."""
        if not self._frame_is_due:
            self._frame_is_due = True
            self.set_timer(max(_FRAME_S, 3 * self._frame_took_s), self._draw_frame)

    def _draw_frame(self) -> None:
        started_s = time.monotonic()
        self._frame_is_due = False
        self.chat.draw(self._status)
        self._frame_took_s = time.monotonic() - started_s

    def _call_person(self, why: str) -> None:
        """Ring where the person looks elsewhere, and let the terminal tell the desktop."""
        if self._notifies and not self.app_focus:
            self.bell()
            self.write_terminal(desktop_note(why, os.environ))

    def write_terminal(self, sequence: str) -> None:
        """Send a sequence that draws nothing."""
        if self._driver is not None:
            self._driver.write(sequence)

    def _repaint(self, _theme: object) -> None:
        self.chat.set_palette(palette_of(self.current_theme))

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        text = event.text
        name, _, rest = text[1:].partition(" ")
        if text.startswith("/") and (command := find_command(name.strip())):
            self._run_command(command.name, rest.strip())
        elif text.startswith("/") and "/" not in name:
            self.say("error", f"no command /{name}; /help lists them")
        elif self.session is None:
            self.chat.write(text)
        else:
            self._hand_on(text, self.session)

    def _hand_on(self, text: str, session: LiveSession) -> None:
        self.chat.action_go_to_end()
        try:
            if text.startswith("!") and text[1:].strip():
                session.run_command(text[1:].strip())
            else:
                session.send(text)
        except RnjError as exc:  # it failed, or has just closed: nothing that was written is lost
            self.chat.write(text)
            self.say("error", f"{exc.message} · {exc.hint}".removesuffix(" · "))

    def _run_command(self, name: str, rest: str) -> None:
        own: dict[str, Callable[[], object]] = {
            "help": self.chat.action_help,
            "diff": self.action_show_diff,
            "copy": self.chat.action_copy,
            "plan": self.chat.show_plan,
            "agents": self._show_agents,
            "model": lambda: self._pick_model(rest),
            "theme": lambda: self._set_theme(rest),
            "sessions": self._pick_session,
            "new": lambda: self.open_session(""),
            "quit": self._leave,
        }
        own.get(name, lambda: self._do(name, rest))()

    @work
    async def _do(self, name: str, rest: str) -> None:
        self.chat.action_go_to_end()  # what comes of it is told there
        if self.session is None:
            self.say("error", f"/{name} needs a session, and none is open")
            return
        try:
            done = await deeds.do(name, rest, self.session, self.conversation)
        except deeds.RefusedError as exc:
            self.say("error", str(exc))
            return
        if done.written:
            self.chat.write(done.written)
        if done.said:
            self.notify(done.said)
        if done.opens:
            self.open_session(done.opens)

    @work(exclusive=True, group="model")
    async def _pick_model(self, typed: str) -> None:
        """Go on with another model: the same session where anything was said in it."""
        if self._models is None or self._opener is None:
            self.say("error", "/model needs a session, and none is open")
            return
        offer = await choose_model(self, self._models, typed)
        if offer is not None:
            self._opener.use_model(offer.endpoint, offer.name)
            self.open_session(deeds.saved_name(self.session))

    @work(exclusive=True, group="model")
    async def _get_model(self, config: Config) -> None:
        """The first time: the model is offered before anything can be said to it."""
        assert self._models is not None
        offer = await asyncio.to_thread(self._models.missing, config)
        if offer is not None and await self.push_screen_wait(FetchScreen(offer, self._models)):
            self.open_session(self._resume)

    def _show_agents(self) -> None:
        agents = self._status.agents if self._status else None
        if agents is None:
            self.notify("The model is told of no AGENTS.md.")
        else:
            self.push_screen(TextScreen(str(agents), agents.text))

    @work
    async def action_show_diff(self) -> None:
        """Show the session's changes as they stand now."""
        if self.session is not None:
            with contextlib.suppress(deeds.RefusedError):
                self.conversation.patch = await deeds.patch(self.session)
        self.chat.action_show_diff()

    def _set_theme(self, name: str) -> None:
        if not name:
            self.action_next_theme()
        elif name in self.available_themes:
            self.theme = name
        else:
            self.say("error", f"no theme {name!r}; there are {', '.join(self.available_themes)}")

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]
        self.notify(self.theme, timeout=1.5)

    def _pick_session(self) -> None:
        def taken(name: str | None) -> None:
            if name is not None:
                self.open_session(name)

        self.push_screen(PickScreen("Go on with a session", find_sessions), taken)

    def action_next_mode(self) -> None:
        if self.session is not None:
            self.session.mode = deeds.next_mode(self.session.mode)

    @on(ChatScreen.InterruptWanted)
    def _interrupt(self) -> None:
        if self.session is not None:
            self.session.interrupt()

    @on(ChatScreen.QuitWanted)
    def _leave(self) -> None:
        self.run_worker(self.action_quit(), exclusive=True, group="quit")

    async def action_quit(self) -> None:
        """Leave the session in order, then the terminal."""
        for worker in self.workers.cancel_group(self, "session"):
            with contextlib.suppress(Exception):
                await worker.wait()
        self.exit()
