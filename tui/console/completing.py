"""Asks a guest what a path that is being typed may become."""

from __future__ import annotations

from contextlib import aclosing

from tui.agent.exec import run
from tui.agent.exec_model import Output, Stream
from tui.agent.exec_shell import ask
from tui.agent.profile import GuestProfile
from tui.agent.transport import Transport
from tui.console import completion, completion_windows
from tui.console.charset import Charset
from tui.console.completion import Completion
from tui.console.lasting import Lasting
from tui.console.shells import Shell


async def completed_in_guest(
    transport: Transport, profile: GuestProfile, before_cursor: str, lasting: Lasting, charset: Charset
) -> Completion:
    """The line completed in the surroundings that the console has. Raises an `AgentError` where nobody tells."""
    if profile.is_windows:
        line = completion_windows.question(before_cursor)
        said = await _said_by_windows(transport, profile, line, lasting)
        decoder = charset.decoder()
        return completion_windows.completed(before_cursor, decoder.feed(said) + decoder.flush())
    script = 'cd -- "$1" 2>/dev/null; ' + completion.question(before_cursor)
    words = ("/bin/sh", "-c", script, "sh", lasting.cwd or "/")
    status = await ask(transport, *words, within_s=completion.DEADLINE_S)
    return completion.completed(before_cursor, status.out)


async def _said_by_windows(transport: Transport, profile: GuestProfile, line: str, lasting: Lasting) -> bytes:
    """The first LIMIT bytes of what it prints, as a command's output comes: the agent is not to collect all names."""
    said = b""
    async with aclosing(run(transport, lasting.request(line, Shell.CMD), profile=profile)) as events:
        async for event in events:
            if isinstance(event, Output) and event.stream is Stream.STDOUT:
                said += event.data
            if len(said) >= completion_windows.LIMIT:
                break
    return said[: completion_windows.LIMIT]
