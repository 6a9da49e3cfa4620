"""A copy through libvirt's storage streams, SHA-256 included, against `virsh vol-download --sparse` in the same run."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bench_backup_copy import tell
from tests.bench.images import SIZE, level, make_image
from tests.live.backup_process import connect
from tui.backup.meter import Meter, Throttle
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, Source, overlay_beside, read_plan, stamp_now
from tui.backup.session import HostSession, Patience
from tui.backup.source import reach_of
from tui.lab.laboratory import Laboratory

ROUNDS = 2
SLOW_BYTES_S = 100_000_000
SLOW_S = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took until its copy was on the disk: seconds, CPU seconds, and memory at most in MiB."""

    seconds: float
    cpu_s: float
    memory_mib: float


def plan_for(uri: str, image: Path, limit_bytes_s: int) -> str:
    """The plan of a run that copies one image."""
    stamp = stamp_now()
    disk = PlannedDisk("vda", str(image), ImageFormat.RAW, overlay_beside(str(image), stamp, "vda"))
    plan = BackupPlan(
        run_id="0123abcd",
        stamp=stamp,
        host="lab",
        uri=uri,
        uuid="0f7ab5a4-9a3c-4a35-8d0a-6b7c4a5b2c11",
        guest="bench",
        target="/",
        disks=(disk,),
        limit_bytes_s=limit_bytes_s,
        source=Source.STREAM,
    )
    return plan.to_json()


async def copy(plan_json: str, target: str) -> None:
    """What the worker does for one disk, in a process of its own so that its costs are its own."""
    plan = read_plan(plan_json)
    session = HostSession(connect, plan.uri, Patience())
    reach = reach_of(session, plan)
    meter = Meter(throttle=Throttle(plan.limit_bytes_s))
    if plan.limit_bytes_s:
        asyncio.get_running_loop().call_later(SLOW_S, meter.stop.set)
    try:
        await reach.copy(plan.disks[0], target, meter)
    finally:
        await reach.close()
        await session.close()


def resident_peak_kib(pid: int) -> int:
    """The most memory a process had resident so far (VmHWM), 0 for one that has ended."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def cost_of(argv: tuple[str, ...], image: Path, target: Path, *, is_stopped: bool = False) -> Cost:
    """Run a copy from a cold cache; raises RuntimeError where it fails, unless it stops itself half way."""
    target.unlink(missing_ok=True)
    level(image)
    began = time.monotonic()
    pid = os.posix_spawnp(
        argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
    )
    peak_kib = 0
    while not (ended := os.wait4(pid, os.WNOHANG))[0]:
        # The kernel's own maximum (ru_maxrss) begins with that of the process which started it.
        peak_kib = max(peak_kib, resident_peak_kib(pid))
        # A process tells nobody that its memory grew: it is looked at often enough to miss no copy's buffer.
        time.sleep(0.05)
    _, status, usage = ended
    if status and not is_stopped:
        raise RuntimeError(f"{argv[0]} failed: wait status {status}")
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak_kib / 1024)


async def measure() -> None:
    """Print the costs and the ratios."""
    async with Laboratory() as lab:
        folder = lab.folder / "g" / "pool"
        folder.mkdir()
        image, target = folder / "image.raw", lab.folder / "copy.raw"
        make_image(image)
        owner = (lab.folder / "g").stat()
        for path in (folder, image):
            shutil.chown(path, owner.st_uid, owner.st_gid)
        await lab.virsh("pool-create-as", "bench", "dir", "--target", str(folder))
        ours_argv = (sys.executable, "-m", "tests.bench.bench_backup_stream", "copy")
        ours = (*ours_argv, plan_for(lab.uri, image, 0), str(target))
        slow = (*ours_argv, plan_for(lab.uri, image, SLOW_BYTES_S), str(target))
        virsh = ("virsh", "-q", "-c", lab.uri, "vol-download", "--sparse", str(image), str(target))
        costs: dict[str, list[Cost]] = {"ours": [], "virsh": []}
        for _ in range(ROUNDS):
            for name, argv in (("ours", ours), ("virsh", virsh)):
                costs[name].append(await asyncio.to_thread(cost_of, argv, image, target))
        best = {name: min(each, key=lambda cost: cost.seconds) for name, each in costs.items()}
        for name, title in (("ours", "stream copy with SHA-256"), ("virsh", "virsh vol-download --sparse")):
            cost = best[name]
            rate = SIZE / 2 / cost.seconds / 1e6
            words = (
                f"{cost.seconds:7.2f} s  {rate:6.0f} MB/s of data, {cost.cpu_s:6.2f} s CPU, {cost.memory_mib:4.0f} MiB"
            )
            tell(f"{title:<28}{words}")
        tell(f"speed against virsh vol-download --sparse: {best['virsh'].seconds / best['ours'].seconds:.2f}")
        held = await asyncio.to_thread(cost_of, slow, image, target, is_stopped=True)
        tell(f"held at {SLOW_BYTES_S / 1e6:.0f} MB/s for {SLOW_S} s: {held.memory_mib:.0f} MiB at most")


def main() -> None:
    """Print the table and the ratio."""
    asyncio.run(measure())


if __name__ == "__main__":
    if sys.argv[1:2] == ["copy"]:
        asyncio.run(copy(sys.argv[2], sys.argv[3]))
    else:
        main()
