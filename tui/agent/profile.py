"""What a guest's agent lets us do, looked at once and kept by the caller."""

from __future__ import annotations

from dataclasses import dataclass

from tui.agent import commands
from tui.agent.commands import FreezeStatus
from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.transport import Transport

EXEC_COMMANDS = ("guest-exec", "guest-exec-status")
"""What the agent must offer for programs to be run at all."""
FILE_COMMANDS = (
    "guest-file-open",
    "guest-file-close",
    "guest-file-read",
    "guest-file-write",
    "guest-file-seek",
    "guest-file-flush",
)
"""What it must offer besides for output that comes while a command runs, and for input that is fed to it."""


@dataclass(frozen=True, slots=True)
class GuestProfile:
    """The commands that an agent offers and the system it runs on; outdated by a policy change, a freeze, a reboot."""

    info: commands.AgentInfo
    os: commands.OsInfo

    @property
    def runs_programs(self) -> bool:
        """Whether commands can be run at all."""
        return self.info.offers(*EXEC_COMMANDS)

    @property
    def offers_files(self) -> bool:
        """Whether files can be read and written."""
        return self.info.offers(*FILE_COMMANDS)

    @property
    def is_windows(self) -> bool:
        """Whether there is no POSIX shell to be expected."""
        return self.os.id == "mswindows"


async def read_profile(transport: Transport) -> GuestProfile:
    """Ask the agent what it offers and what it runs on; a blocked or missing guest-get-osinfo leaves `os` empty."""
    info = await commands.info(transport)
    system = commands.OsInfo()
    if info.offers("guest-get-osinfo"):
        try:
            system = await commands.osinfo(transport)
        except CommandFailedError:
            # A guest without os-release is still a guest; what it is, is then unknown.
            system = commands.OsInfo()
    return GuestProfile(info, system)


async def require_exec(transport: Transport, profile: GuestProfile) -> None:
    """Raise `CommandUnavailableError` with the reason where the agent runs no programs."""
    if profile.runs_programs:
        return
    title = "The guest agent runs no commands"
    if (
        profile.info.offers("guest-fsfreeze-status")
        and await commands.fsfreeze_status(transport) is FreezeStatus.FROZEN
    ):
        raise CommandUnavailableError(
            title,
            cause="the guest's filesystems are frozen",
            next_step="Wait until the backup that froze them thaws them, or thaw them.",
        )
    blocked = [name for name in EXEC_COMMANDS if name in profile.info.disabled]
    if blocked:
        raise CommandUnavailableError(
            title,
            cause=f"{' and '.join(blocked)} {'is' if len(blocked) == 1 else 'are'} blocked by the guest's policy",
            next_step="Allow it in the guest agent's configuration and restart the agent.",
        )
    raise CommandUnavailableError(
        title, cause="this agent is too old to have guest-exec", next_step="Update the agent in the guest."
    )
