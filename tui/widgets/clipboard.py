"""Text to the user's clipboard, by the way that works where the user sits; says which way it went."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import pyperclip
from textual.app import App

OSC52_LIMIT = 74_994
"""Bytes that terminals take at least: 100,000 characters of base64 with the sequence around them (xterm)."""
_TMUX_S = 3.0
_DESKTOP_S = 3.0


async def copy(app: App[object], text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Copy, and return the sentence that says what was done: how much, and by which way."""
    size = f"{len(text):,} character{'s' if len(text) != 1 else ''}"
    text = text.encode("utf-8", "replace").decode()
    if _is_local(environment) and await _to_desktop(text):
        return f"Copied {size} to the desktop's clipboard."
    if "TMUX" in environment and await _to_tmux(text):
        return f"Copied {size} to tmux's buffer, and by it to the terminal if its set-clipboard is on."
    if len(text.encode()) > OSC52_LIMIT:
        return f"Not copied: {size} are more than terminals take; save it as a file."
    app.copy_to_clipboard(text)
    return f"Copied {size} by the terminal (OSC 52), if it allows that."


def _is_local(environment: Mapping[str, str]) -> bool:
    has_desktop = "WAYLAND_DISPLAY" in environment or "DISPLAY" in environment
    return has_desktop and "SSH_CONNECTION" not in environment


async def _to_desktop(text: str) -> bool:
    """A desktop's tool may wait for a display that does not answer: in a thread, and not for long."""
    try:
        await asyncio.wait_for(asyncio.to_thread(pyperclip.copy, text), _DESKTOP_S)
    except (pyperclip.PyperclipException, OSError, TimeoutError):
        return False
    return True


async def _to_tmux(text: str) -> bool:
    """`load-buffer -w` hands the text to the outer terminal too (tmux 3.2 and later)."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    for words in (("load-buffer", "-w", "-"), ("load-buffer", "-")):
        try:
            process = await asyncio.create_subprocess_exec("tmux", *words, stdin=pipe, stdout=null, stderr=null)
        except OSError:
            return False
        try:
            await asyncio.wait_for(process.communicate(text.encode()), _TMUX_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        if process.returncode == 0:
            return True
    return False
