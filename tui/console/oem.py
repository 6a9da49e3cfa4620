"""The code page of a Windows guest's legacy programs, asked from the guest."""

from __future__ import annotations

from tui.agent.errors import AgentError
from tui.agent.exec_shell import ask
from tui.agent.profile import GuestProfile
from tui.agent.transport import Transport
from tui.console.charset import AUTO, Charset, page_of

UNTOLD_PAGE = "cp437"
"""What a Windows that does not tell is taken for: the page of its boot font."""


async def likely_charset(transport: Transport, profile: GuestProfile, choice: str = AUTO) -> Charset:
    """How this guest's output is likely to be written; a guest that cannot be asked gets a plain guess."""
    if not profile.is_windows:
        return Charset(choice)
    try:
        said = await ask(transport, "cmd.exe", "/d", "/c", "chcp")
    except AgentError:
        return Charset(choice, UNTOLD_PAGE)
    return Charset(choice, page_of(said.out))
