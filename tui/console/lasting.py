"""What the commands of a console leave to each other: their folder and their environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tui.agent.exec_model import ExecRequest, Surroundings
from tui.console.shells import Shell, request_for_line, setting_of


@dataclass(frozen=True, slots=True)
class Lasting:
    """`cwd` is empty for the agent's own folder; `exports` is a POSIX shell's text, `settings` a Windows guest's."""

    cwd: str = ""
    exports: bytes = b""
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def request(self, line: str, shell: Shell) -> ExecRequest:
        """A line for `shell`, in these surroundings."""
        return request_for_line(line, shell, cwd=self.cwd, exports=self.exports, settings=self.settings)

    def left_by(self, surroundings: Surroundings) -> Lasting:
        """What is so after a command of a POSIX shell."""
        return replace(self, cwd=surroundings.cwd, exports=surroundings.exports)

    def after_line(self, line: str, shell: Shell, folder: str) -> Lasting:
        """What a line was for that a Windows shell forgets: a variable, or its folder, empty where it named none."""
        setting = setting_of(line, shell)
        settings = self.settings if setting is None else MappingProxyType({**self.settings, setting[0]: setting[1]})
        return replace(self, settings=settings, cwd=folder or self.cwd)

    def without_folder(self) -> Lasting:
        """The same in the agent's own folder."""
        return replace(self, cwd="")
