"""A real guest that says hostile things of itself, beside one whose name is hostile: inert on a real terminal."""

from __future__ import annotations

import re

import pytest

from tests.live.shown import ShownGuest, shown_guest
from tui.lab.laboratory import Laboratory
from tui.model.guest import AgentState

TOKEN = "EVIL"
NAME = f"[red]n\u202e{TOKEN}\u009b2J[b]"
"""What libvirt takes for a name: markup, a directional override and a C1 control, but none of C0."""
DOMAIN = "<domain type='qemu'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os></domain>"
SAID = r"x\033[2J\302\233\342\200\256" + TOKEN
FOLDER = f"\"/mnt/$(printf '{SAID}')\""
LEAKED = re.compile(rf"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]{TOKEN}|[\x80-\x9f\u202a-\u202e\u200b-\u200f]")


async def in_guest(lab: Laboratory, name: str, *lines: str) -> None:
    for line in lines:
        done = await lab.shell(name, line)
        assert done.code == 0, (line, done)


async def look_everywhere(shown: ShownGuest) -> None:
    """The list with the details beside it, the details, and the doctor."""
    await shown.until(AgentState.RESPONDING)
    await shown.until_written(f"{TOKEN} Linux")
    await shown.until_written(f"/mnt/x\ufffd[2J\ufffd\ufffd{TOKEN}  ext4")
    shown.press("i")
    await shown.until_written("r Ask again")
    shown.press("\x1b")
    await shown.until_written("x Console")
    shown.press("D")
    await shown.until_written("Checks, from the outside in")
    shown.press("\x1b")
    await shown.until_written("x Console")


@pytest.mark.long
async def test_what_a_guest_says_of_itself_and_a_domains_name_are_inert_on_the_terminal(
    lab: Laboratory, web1: str
) -> None:
    xml = lab.folder / "hostile.xml"
    xml.write_text(DOMAIN.format(name=NAME), "utf-8")
    await lab.virsh("define", str(xml))
    try:
        await in_guest(
            lab,
            web1,
            "cp /etc/os-release /run/os-release.kept; cat /proc/sys/kernel/hostname >/run/hostname.kept",
            f"printf 'ID=debian\\nPRETTY_NAME=\"{SAID} Linux\"\\n' >/etc/os-release",
            f"printf '{SAID}' >/proc/sys/kernel/hostname",
            f"mkdir -p {FOLDER} && mount /dev/vdb {FOLDER}",
            "systemctl restart qemu-guest-agent",
        )
        await lab.wait_for_agent(web1)
        async with shown_guest(lab.uri, web1) as shown:
            await look_everywhere(shown)
            shown.press("/")
            await shown.until_written("enter")
            shown.press("\x15[red]n\r")
            await shown.until_written(f"[red]n\ufffd{TOKEN}\ufffd2J[b]")
        assert shown.written.count(TOKEN) > 5
        assert not LEAKED.search(shown.written)
    finally:
        await lab.virsh("undefine", NAME)
        await in_guest(
            lab,
            web1,
            f"umount {FOLDER}; rmdir {FOLDER}",
            "cat /run/os-release.kept >/etc/os-release; cat /run/hostname.kept >/proc/sys/kernel/hostname",
            "systemctl restart qemu-guest-agent",
        )
        await lab.wait_for_agent(web1)
