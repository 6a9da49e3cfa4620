"""Eight real guests at once, two consoles on one of them, and virsh from outside: does each get its own output?"""

from __future__ import annotations

import asyncio
import base64
import time

from tui.console.many import ManyGuest, ManyRun
from tui.console.many_rows import RunState
from tui.console.session import Session
from tui.console.transcript import OutputLine, Transcript
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.guest import GuestId
from tui.system.audit_log import AuditTarget

GUESTS, LINES, QUESTIONS = 8, 2000, 20
COUNT = f'i=0; while [ $i -lt {LINES} ]; do echo "$TAG-$i"; i=$((i+1)); done'


def lines_of(transcript: Transcript) -> list[str]:
    return [str(entry.text) for entry in transcript.since() if isinstance(entry, OutputLine)]


def counted(tag: str) -> list[str]:
    return [f"{tag}-{number}" for number in range(LINES)]


async def by_console(session: Session, tag: str) -> bool:
    """Whether a console got its own output and nothing else."""
    session.run(f"TAG={tag}; {COUNT}")
    await session.idle()
    return lines_of(session.scrollback.transcript) == counted(tag)


async def by_virsh(lab: Laboratory, guest: str) -> int:
    """How many questions of virsh to the same agent got their own answers."""
    right = 0
    for number in range(QUESTIONS):
        words = {"path": "/bin/echo", "arg": [f"stranger-{number}"], "capture-output": True}
        pid = (await lab.agent_command(guest, "guest-exec", 30, **words))["pid"]
        status = {"exited": False}
        while not status["exited"]:
            status = await lab.agent_command(guest, "guest-exec-status", 30, pid=pid)
        right += base64.b64decode(str(status["out-data"])).decode() == f"stranger-{number}\n"
    return right


async def measure() -> None:
    """All at the same time, on guests that have booted."""
    async with Laboratory() as lab:
        names = [f"guest{number}" for number in range(GUESTS)]
        await asyncio.gather(*(lab.add(GuestSpec(name, memory_mib=96)) for name in names))
        await asyncio.gather(*(lab.wait_for_agent(name) for name in names))
        host = LibvirtHost(lab.uri, "bench")
        await host.open()
        uuids = {facts.name: facts.uuid for facts in await host.list_domains()}
        guests = [
            ManyGuest(
                GuestId("bench", uuids[name]), host.work_line(uuids[name]), AuditTarget(lab.uri, name, uuids[name])
            )
            for name in names
        ]
        many = ManyRun(f"TAG=$(hostname); {COUNT}", guests, logs=False)
        first, second = (Session(host.work_line(uuids[names[0]])) for _ in range(2))
        begun = time.perf_counter()
        one, other, answers, _ = await asyncio.gather(
            by_console(first, "first"), by_console(second, "second"), by_virsh(lab, names[0]), many.run()
        )
        took = time.perf_counter() - begun
        own = [lines_of(kept.transcript) == counted(name) for kept, name in zip(many.scrollbacks, names, strict=True)]
        done = sum(row.state is RunState.DONE for row in many.rows)
        print(f"{done} of {GUESTS} guests done after {took:.0f} s, {sum(own)} with their own {LINES} lines alone")
        print(f"two consoles on one guest: {'both' if one and other else 'NOT both'} with their own output alone")
        print(f"virsh beside them: {answers} of {QUESTIONS} answers its own")
        for session in (first, second):
            await session.close()
        await host.close()


def main() -> None:
    """Run it."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
