"""The laboratory itself: its guests behave as real ones do, and nothing of it stays."""

import asyncio
import base64
import signal
import sys
from pathlib import Path

import pytest

from tests.live.host_agent import until
from tui.lab.cpio import GuestFile
from tui.lab.laboratory import Laboratory
from tui.lab.programs import LabError
from tui.lab.remains import processes_of, sweep_abandoned
from tui.lab.spec import AGENT_PORT, WRITER_FILE, AgentSetup, ChannelIn, GuestSpec

HEADLESS = "import asyncio, sys; from tui.lab.demo import run_headless; asyncio.run(run_headless(sys.stdout))"


async def exec_in(lab: Laboratory, name: str, path: str, *words: str) -> tuple[int, bytes]:
    started = await lab.agent_command(name, "guest-exec", path=path, arg=list(words), **{"capture-output": True})
    async with asyncio.timeout(30):
        while True:
            status = await lab.agent_command(name, "guest-exec-status", pid=started["pid"])
            if status["exited"]:
                return status["exitcode"], base64.b64decode(status.get("out-data", status.get("err-data", "")))


async def last_number(lab: Laboratory, name: str, folder: str) -> int:
    return int((await lab.shell(name, f"tail -n 1 {folder}/{WRITER_FILE}")).output.split()[0])


async def boot_id(lab: Laboratory, name: str) -> str:
    """Changes with every boot; empty while the console does not answer."""
    try:
        code, output = await lab.shell(name, "cat /proc/sys/kernel/random/boot_id", timeout=5)
    except LabError:
        return ""
    return output if code == 0 else ""


async def agent_pid(lab: Laboratory, name: str) -> str:
    return (await lab.shell(name, "pidof qemu-ga")).output.strip()


async def test_the_agent_is_a_real_one_and_knows_its_guest(lab: Laboratory, web1: str) -> None:
    assert (await lab.agent_command(web1, "guest-get-host-name"))["host-name"] == web1
    assert (await lab.agent_command(web1, "guest-get-osinfo"))["id"] == "qga-lab"
    mounted = {disk["mountpoint"]: disk["type"] for disk in await lab.agent_command(web1, "guest-get-fsinfo")}
    assert mounted == {"/": "ext4", "/data": "ext4"}


async def test_the_console_runs_commands_of_any_length_and_brings_output_and_status_home(
    lab: Laboratory, web1: str
) -> None:
    text = "ä'\"$`\\ \t!\n" * 400
    script = f"cat <<'END'\n{text}END\necho error >&2\nexit 7"
    assert await lab.shell(web1, script) == (7, f"{text}error\n")


async def test_the_programs_that_the_exec_recipes_need_are_there(lab: Laboratory, web1: str) -> None:
    programs = "sh setsid mktemp dd seq sleep head cat rm kill printf pidof"
    code, output = await exec_in(lab, web1, "sh", "-c", f"for p in {programs}; do command -v $p || exit 1; done")
    assert (code, len(output.split())) == (0, len(programs.split()))


async def test_a_killed_agent_comes_back_by_itself(lab: Laboratory, web1: str) -> None:
    before = await agent_pid(lab, web1)
    assert (await lab.shell(web1, f"kill -9 {before}")).code == 0
    await lab.wait_for_agent(web1, 30)
    assert await agent_pid(lab, web1) not in ("", before)


async def test_a_stopped_agent_stays_away_until_it_is_started(lab: Laboratory, web1: str) -> None:
    assert (await lab.shell(web1, "systemctl stop qemu-guest-agent")).code == 0
    assert (await lab.shell(web1, "systemctl is-active qemu-guest-agent")) == (3, "inactive\n")
    with pytest.raises(LabError, match="not responding"):
        await lab.agent_command(web1, "guest-ping")
    assert (await lab.shell(web1, "systemctl start qemu-guest-agent")).code == 0
    await lab.wait_for_agent(web1, 30)


async def test_a_freeze_holds_the_writers_of_both_disks_and_the_thaw_lets_them_go(lab: Laboratory, web1: str) -> None:
    assert await lab.agent_command(web1, "guest-fsfreeze-freeze") == 2
    try:
        frozen = [await last_number(lab, web1, folder) for folder in ("", "/data")]
        await lab.shell(web1, "sleep 1")  # long enough for several lines, were there no freeze
        assert [await last_number(lab, web1, folder) for folder in ("", "/data")] == frozen
        assert await lab.agent_command(web1, "guest-fsfreeze-status") == "frozen"
    finally:
        assert await lab.agent_command(web1, "guest-fsfreeze-thaw") == 2
    async with asyncio.timeout(30):
        for folder, number in zip(("", "/data"), frozen, strict=True):
            while await last_number(lab, web1, folder) <= number:
                continue


async def test_the_writer_numbers_grow_through_a_reboot_asked_for_by_the_agent(lab: Laboratory, web1: str) -> None:
    before = await last_number(lab, web1, "/data")
    boot = await boot_id(lab, web1)
    # Never answered: the guest goes down instead.
    with pytest.raises(LabError):
        await lab.agent_command(web1, "guest-shutdown", mode="reboot")
    async with asyncio.timeout(90):
        # A command that the reboot cuts short is never answered.
        while await boot_id(lab, web1) in ("", boot):
            continue
    await lab.wait_for_agent(web1)
    assert await last_number(lab, web1, "/data") > before
    numbers = [int(line.split()[0]) for line in (await lab.shell(web1, "cat /data/writes.log")).output.splitlines()]
    assert numbers == sorted(set(numbers))


@pytest.mark.long
async def test_the_windows_lookalike_speaks_as_windows_does_and_the_power_button_ends_it(lab: Laboratory) -> None:
    await lab.add(GuestSpec("win", memory_mib=96, windows_lookalike=True, agent=AgentSetup.NOT_STARTED))
    assert (await lab.shell("win", "systemctl start qemu-guest-agent")).code == 0
    await lab.wait_for_agent("win")
    assert (await lab.agent_command("win", "guest-get-osinfo"))["id"] == "mswindows"
    code, output = await exec_in(lab, "win", "cmd.exe", "/c", "dir")
    assert (code, "привет.txt\r\n" in output.decode("cp866")) == (0, True)
    code, output = await exec_in(lab, "win", "cmd.exe", "/c", "nonsense")
    assert (code, output.decode("cp866").split(" не является ")[0]) == (1, '"nonsense"')
    assert await exec_in(lab, "win", "cmd.exe", "/u", "/c", "echo hi") == (0, "hi\r\n".encode("utf-16-le"))
    encoded = base64.b64encode("hostname".encode("utf-16-le")).decode()
    answer = await exec_in(lab, "win", "powershell.exe", "-NoProfile", "-EncodedCommand", encoded)
    assert answer == (0, "win\r\n".encode("utf-16-le"))
    await lab.virsh("shutdown", "win", "--mode", "acpi")
    await lab.wait_for_power("win", "shut off")
    await lab.virsh("undefine", "win")


@pytest.mark.long
async def test_a_channel_plugged_into_a_running_guest_is_found_and_the_policy_of_its_agent_holds(
    lab: Laboratory,
) -> None:
    note = GuestFile("/root/note", b"laid before the first boot\n")
    spec = GuestSpec(
        "odd",
        memory_mib=96,
        channel=ChannelIn.STORED_ONLY,
        agent_args=("-b", "guest-exec,guest-file-open"),
        extra_files=(note,),
        extra_boot=("echo booted >/run/extra",),
    )
    await lab.add(spec)
    assert (await lab.shell("odd", "cat /root/note /run/extra")).output == "laid before the first boot\nbooted\n"
    assert AGENT_PORT not in await lab.virsh("dumpxml", "odd")
    assert AGENT_PORT in await lab.virsh("dumpxml", "odd", "--inactive")
    channel = lab.folder / "channel.xml"
    channel.write_text(f"<channel type='unix'><target type='virtio' name='{AGENT_PORT}'/></channel>")
    await lab.virsh("attach-device", "odd", str(channel), "--live")
    await lab.wait_for_agent("odd", 30)
    with pytest.raises(LabError, match="guest-exec has been disabled"):
        await lab.agent_command("odd", "guest-exec", path="true")
    await lab.virsh("destroy", "odd")
    await lab.virsh("undefine", "odd")


def is_gone(folder: Path) -> bool:
    mounts = Path("/proc/self/mountinfo").read_text()
    return not processes_of(folder) and not folder.exists() and str(folder) not in mounts


async def started_demo() -> tuple[asyncio.subprocess.Process, Path]:
    """The headless demo in its own process, and its folder, read from its first line, once guests are on their way."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HEADLESS, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(300):
        uri = (await process.stdout.readline()).decode()
        async for line in process.stderr:
            if line.startswith(b"starting the guest db1"):
                break
    return process, Path(uri.partition("socket=")[2].partition("/r/")[0])


async def test_a_signal_ends_the_demo_and_nothing_is_left(lab: Laboratory) -> None:
    process, folder = await started_demo()
    assert len(processes_of(folder)) >= 2
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        await process.communicate()
    assert process.returncode == 0
    assert is_gone(folder)


async def test_the_next_laboratory_removes_a_killed_one_and_spares_the_living(lab: Laboratory) -> None:
    process, folder = await started_demo()
    process.kill()
    await process.communicate()
    assert len(processes_of(folder)) >= 2
    removed: list[str] = []
    sweep_abandoned(removed.append)
    if not any(str(folder) in line for line in removed):
        # A laboratory of another test began meanwhile, and is the next one.
        await until(lambda: is_gone(folder))
    assert is_gone(folder)
    assert lab.folder.exists()
    assert await lab.virsh("uri") != ""


async def test_nothing_is_left_of_a_laboratory_whose_body_fails() -> None:
    seen: list[Path] = []

    async def doomed() -> None:
        async with Laboratory() as laboratory:
            seen.append(laboratory.folder)
            assert len(processes_of(laboratory.folder)) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await doomed()
    assert is_gone(seen[0])
