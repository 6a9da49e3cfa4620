"""The console of one guest: one command at a time, what they left to each other, and facts for whoever shows it.

A session outlives the screens that show it: the app owns it, and a running command runs on when a screen closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial

from tui.agent.cancelling import unless_set
from tui.agent.exec_model import (
    CANCELLED_BEFORE,
    DEFAULT_PACE,
    End,
    ExecEvent,
    ExecPace,
    Finished,
    Notice,
    Output,
    Started,
    Surroundings,
)
from tui.agent.exec_standing import Standing
from tui.agent.leftovers import sweep_leftovers
from tui.agent.profile import GuestProfile, read_profile
from tui.agent.transport import Transport
from tui.console.ahead import RunAhead
from tui.console.audit import run_audited
from tui.console.charset import Charset
from tui.console.completing import completed_in_guest
from tui.console.completion import Completion
from tui.console.guest_news import GuestStory
from tui.console.lasting import Lasting
from tui.console.oem import likely_charset
from tui.console.record import CommandRecord
from tui.console.remains import remains_in_words
from tui.console.scrollback import Scrollback
from tui.console.session_facts import CommandEnded, CommandStarted, SessionFact, StatusChanged
from tui.console.shells import Shell, default_shell, folder_question
from tui.console.start import Start
from tui.console.tidying import Tidying
from tui.console.typed_input import TypedInput
from tui.console.wording import advice_on, failure_in_words, sweep_in_words
from tui.doctor.advice import advise
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.system.audit_log import AuditTarget

logger = logging.getLogger(__name__)


class SessionBusyError(ExplainedError):
    """A command of this session is still running."""


class Session:
    """Commands of one guest over one line. All methods belong to the event loop's thread."""

    def __init__(
        self,
        transport: Transport,
        *,
        target: AuditTarget | None = None,
        charset: Charset | None = None,
        pace: ExecPace = DEFAULT_PACE,
    ) -> None:
        """`target` names the guest in the log of commands, None keeps no log."""
        self.scrollback = Scrollback(charset or Charset(), self._tell)
        self.shell: Shell | None = None
        self.is_windows = False
        self._transport = transport
        self._target = target
        self._pace = pace
        self._lasting = Lasting()
        self._listeners: list[Callable[[SessionFact], None]] = []
        self._typed: TypedInput | None = None
        self._cancel = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._profile: GuestProfile | None = None
        self._story = GuestStory()
        self._ahead = RunAhead(transport, unread_s=pace.unread)
        self._keeps_ahead = False
        self._tidying = Tidying()

    @property
    def cwd(self) -> str:
        """The folder that the next command runs in, empty for the agent's own."""
        return self._lasting.cwd

    @property
    def is_running(self) -> bool:
        """Whether a command is under way."""
        return self._task is not None and not self._task.done()

    @property
    def is_ending(self) -> bool:
        """Whether a command is being ended because the user said so."""
        return self.is_running and self._cancel.is_set()

    @property
    def takes_input(self) -> bool:
        """Whether the running command reads what is typed."""
        return self.is_running and self._typed is not None

    @property
    def last(self) -> CommandRecord | None:
        """The command that was started last."""
        return self.scrollback.last

    def subscribe(self, listener: Callable[[SessionFact], None]) -> Callable[[], None]:
        """Hand every later fact to `listener`; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def prepare(self) -> None:
        """Learn the guest's shell and encoding and sweep what crashed runs left there, in the background, once.

        From then on a run waits in the guest for the next command; `close` removes it.
        """
        if self._preparing is None:
            self._preparing = asyncio.create_task(self._prepare(), name="console prepared")

    def run(
        self,
        line: str,
        *,
        stdin: AsyncIterator[bytes] | None = None,
        takes_input: bool = False,
        by_guests_shell: bool = False,
        shell: Shell | None = None,
    ) -> None:
        """Start a typed line; its course comes as facts. Raises SessionBusyError while another one runs.

        `stdin` is handed to it, or with `takes_input` what `type_in` is given. `by_guests_shell` lets the guest's own
        shell read the line, whichever was chosen; otherwise `shell` does, None for the one that is chosen now.
        """
        if self.is_running:
            raise SessionBusyError(
                "A command is still running", next_step="Wait for its end, or cancel it, then run the next one."
            )
        record = self.scrollback.begin(line)
        self._cancel = asyncio.Event()
        self._typed = TypedInput() if takes_input else None
        source = self._typed.pieces() if self._typed is not None else stdin
        chosen = None if by_guests_shell else shell or self.shell
        following = self._follow(record, source, self._story.begin_run(), chosen)
        self._task = asyncio.create_task(following, name=f"command {record.number}")

    def type_in(self, text: str | None) -> None:
        """Hand text to the running command's standard input; None ends the input. A no-op where it takes none."""
        if self._typed is not None:
            self._typed.put(text)

    def cancel(self) -> None:
        """End the running command and its children in the guest; a no-op without one. Its end comes as a fact."""
        self._cancel.set()

    async def idle(self) -> None:
        """Wait until no command runs and nothing of earlier ones is left in the guest."""
        if self._task is not None:
            await asyncio.shield(self._task)
        await self._tidying.over()

    async def close(self) -> None:
        """End what runs, in the guest too, and leave nothing there."""
        self.cancel()
        await self.idle()
        await self.leave()

    async def leave(self) -> None:
        """Take back what waits in the guest for a next command; what runs goes on."""
        self._keeps_ahead = False
        await self._ahead.drop()

    async def look_again(self) -> None:
        """See whether the last command still runs in the guest, and say so."""
        record = self.last
        if record is None or not record.pid or self.is_running:
            return
        self.scrollback.say(record, await remains_in_words(self._transport, record.pid, windows=self.is_windows))

    def guest_changed(self, guest: Guest | None) -> None:
        """Take the guest as its hypervisor shows it now, None where it is gone from there: a command is told of it."""
        words = self._story.take(guest)
        if words and self.is_running:
            self.scrollback.say(self.last, words)

    def use_shell(self, shell: Shell) -> None:
        """Let another shell read the lines from now on."""
        self.shell = shell
        self._tell(StatusChanged())

    async def complete(self, before_cursor: str) -> Completion:
        """The line before the cursor with its path completed by the guest; raises an `AgentError` without an answer."""
        profile = await self._met()
        return await completed_in_guest(self._transport, profile, before_cursor, self._lasting, self.scrollback.charset)

    async def _prepare(self) -> None:
        try:
            profile = await self._met()
            scrollback = self.scrollback
            scrollback.charset = await likely_charset(self._transport, profile, scrollback.charset.choice)
            self._tell(StatusChanged())
            swept = await sweep_leftovers(self._transport, profile)
        except ExplainedError as error:
            # Whoever runs a command learns why it cannot be run.
            self.scrollback.say(None, (await advise(self._transport, error)).one_line())
            return
        if swept.did_something:
            self.scrollback.say(None, sweep_in_words(swept))
        self._keeps_ahead = profile.offers_files and not profile.is_windows
        self._prepare_next()

    async def _met(self) -> GuestProfile:
        """The guest's profile, asked for again after every run that did not come to a plain end."""
        if self._profile is None:
            self._profile = await read_profile(self._transport)
        self.is_windows = self._profile.is_windows
        if self.shell is None:
            self.shell = default_shell(self._profile)
        return self._profile

    def _prepare_next(self) -> None:
        if self._keeps_ahead and not self.is_running:
            self._ahead.want(self.cwd)

    async def _follow(
        self, record: CommandRecord, stdin: AsyncIterator[bytes] | None, standing: Standing, chosen: Shell | None
    ) -> None:
        try:
            start = await unless_set(self._cancel, self._awaited_start(record.line, chosen, is_fed=stdin is not None))
            if start is not None:
                await self._follow_started(record, start, stdin, standing)
            else:
                await self._note(record, Finished(End.CANCELLED, None, None, 0.0, 0, 0, reason=CANCELLED_BEFORE))
        except ExplainedError as error:
            self._profile = None
            self.scrollback.refuse(record, (await advise(self._transport, error)).one_line())
            if self.cwd and "no folder" in error.cause:
                self._keep(self._lasting.without_folder())
                self.scrollback.say(record, "Back in the agent's own folder.")
        except Exception as error:
            logger.exception("a command could not be followed")
            self._profile = None
            self.scrollback.refuse(record, failure_in_words(error))
        finally:
            self.scrollback.close()
            self._typed = self._task = None
            self._tell(CommandEnded(record.number, record.finished))
        await self.scrollback.settle()

    async def _follow_started(
        self, record: CommandRecord, start: Start, stdin: AsyncIterator[bytes] | None, standing: Standing
    ) -> None:
        events = run_audited(
            self._transport,
            start.request,
            self._target,
            typed=record.line,
            stdin=stdin,
            profile=start.profile,
            cancel=self._cancel,
            pace=self._pace,
            ready=start.ready,
            standing=standing,
        )
        async with self._tidying.behind(events, partial(self._note, record), self._prepare_next):
            async for event in events:
                await self._note(record, event)
                if isinstance(event, Finished):
                    break
        if record.finished is not None and record.finished.exit_code == 0:
            folder = self.scrollback.last_line if start.asks_folder else ""
            self._keep(self._lasting.after_line(record.line, start.shell, folder))

    async def _awaited_start(self, line: str, chosen: Shell | None, *, is_fed: bool) -> Start:
        """What the line before left, what the guest offers, and the run kept ready: each may be long in coming."""
        await self._tidying.surroundings_known.wait()
        profile = await self._met()
        shell = chosen or default_shell(profile)
        question = folder_question(line, shell)
        request = self._lasting.request(question or line, shell)
        # Last: who is cancelled meanwhile has taken no run from those that are kept.
        ready = None if is_fed else await self._ahead.take(request.cwd)
        return Start(profile, shell, request, ready, asks_folder=bool(question))

    async def _note(self, record: CommandRecord, event: ExecEvent) -> None:
        match event:
            case Started(pid=pid):
                record.pid = pid
                self._tell(CommandStarted(record.number, pid))
            case Output():
                await self.scrollback.take(record, event)
            case Notice(text=text):
                self.scrollback.say(record, text)
            case Surroundings():
                self._keep(self._lasting.left_by(event))
                self._tidying.surroundings_known.set()
            case Finished():
                if event.end is not End.EXITED:
                    self._profile = None
                self.scrollback.end(record, event)
                advice = "" if self.is_windows else advice_on(event)
                if advice:
                    self.scrollback.say(record, advice)

    def _keep(self, lasting: Lasting) -> None:
        if lasting != self._lasting:
            self._lasting = lasting
            self._tell(StatusChanged())

    def _tell(self, fact: SessionFact) -> None:
        for listener in tuple(self._listeners):
            listener(fact)
