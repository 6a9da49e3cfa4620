"""One cell of a restore's kill matrix: stopped at a moment, killed, settled from the command line, looked at."""

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.live import held_worker
from tests.live.backup_fixtures import log_of
from tests.live.backup_process import connect
from tests.live.held_worker import HELD
from tests.live.kill_matrix import rescue_by_hand, until
from tests.live.restoring import NAME, SPEC, proposed
from tui.backup.chain import disks_by_target
from tui.backup.follow import read_state
from tui.backup.launch import launch
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.restore.settle import undo_restore
from tui.backup.restore.wishes import MOMENTS as DIFFERENT_MOMENTS
from tui.backup.restore.wishes import Wishes
from tui.backup.runs import RestoreRun, worker_alive, worker_pid
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.backup.session import HostSession, Patience
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.disk import Disk
from tui.model.guest import PowerState

OFF_SPEC = replace(SPEC, start=False)
"""Its guest is never booted: images and definitions tell all."""
READER_SPEC = GuestSpec(
    "reader1",
    extra_devices=(
        "<controller type='pci' index='0' model='pcie-root'/>",
        *("<controller type='pci' model='pcie-root-port'/>",) * 5,
    ),
)
"""Its guest runs, and gets the disks that are attached: three of its ports are free."""
BOTH = ("vda", "vdb")
STAGES = ("planned", "copying", "copy-mid", "copied", "moving", "rename-1", "rename-2", "rename-3")
MOMENTS: Mapping[RestoreWay, tuple[str, ...]] = {
    RestoreWay.IN_PLACE: (*STAGES, "defining", "defined", "done"),
    RestoreWay.CLONE: (*STAGES[:-2], "defining", "defined", "done"),
    RestoreWay.DISK: (*STAGES[:-1], "done"),
    RestoreWay.ATTACH: (*STAGES[:-1], "defining", "attach-1", "attach-2", "done"),
    RestoreWay.BOOT_TEST: ("copy-mid", "moving", "rename-1", "defining", "defined", "testing", "started", "done"),
}
"""Every stage that the journal of a way knows, and moments between them: after each file's change of name, after the
definition or each disk that was attached, with the clone of a boot test running."""
IN_PLACE_ALONE = ("planned", "copy-mid", "copied", "moving", "rename-1", "rename-2", "defining", "done")
"""Those of one disk that is put back alone: its guest keeps its definition."""
RUINED = b"ruined, and never to be lost"


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one cell: `state` is old or new, `problems` in words, none where all is well."""

    way: RestoreWay
    moment: str
    state: str
    problems: tuple[str, ...]


async def run_cell(
    lab: Laboratory, host: Host, folder: Path, way: RestoreWay, moment: str, disks: tuple[str, ...] = ()
) -> Cell:
    """Ruin the guest's images, begin a restore, kill its worker at `moment`, rescue, and look at everything.

    `disks` are those that alone are restored, in place.
    """
    wishes = Wishes(way, disks=disks, accepted=(DIFFERENT_MOMENTS,)) if disks else wishes_of(lab, way)
    with ruined_images(lab):
        return await _run_cell(lab, host, folder, wishes, moment)


@contextmanager
def ruined_images(lab: Laboratory) -> Iterator[None]:
    """Put something else in the place of the guest's images meanwhile."""
    images = {target: lab.disk(NAME, target) for target in ("vda", "vdb")}
    for target, image in images.items():
        image.rename(lab.folder / image.name)
        image.write_bytes(RUINED + target.encode())
    try:
        yield
    finally:
        for image in images.values():
            (lab.folder / image.name).replace(image)


async def _run_cell(lab: Laboratory, host: Host, folder: Path, wishes: Wishes, moment: str) -> Cell:
    way = wishes.way
    before = await everything(lab, host)
    plan = (await proposed(host, folder, wishes)).plan
    run = launch(plan, held_worker.argv(moment))
    await until(lambda: (run.folder / HELD).exists() or not worker_alive(run))
    if not (run.folder / HELD).exists():
        raise AssertionError(f"{moment} never came: {log_of(run)}")
    pid = worker_pid(run)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not worker_alive(run))
    code, said = await rescue_by_hand(lab)
    problems = [] if code == 0 else [f"rescue exited with {code}: {said}"]
    if await find_leftovers(host):
        problems.append("something is still found")
    told = {EXIT_DONE: "new", EXIT_LESS: "new", EXIT_NOT_DONE: "old"}.get(read_state(run).exit_code or 0, "neither")
    if moment == "planned" or way is RestoreWay.BOOT_TEST:
        told = "old"
    if told == "old":
        problems += [] if await everything(lab, host) == before else ["it is not as before"]
    elif told == "new":
        problems += await what_is_not_new(lab, host, plan, folder)
        await clear(host, run)
        problems += [] if await everything(lab, host) == before else ["undone, it is not as before"]
    else:
        problems.append(f"it says neither old nor new: {read_state(run).exit_code}")
    return Cell(way, moment, told, tuple(problems))


def wishes_of(lab: Laboratory, way: RestoreWay) -> Wishes:
    """Disks alone are both of them: in a folder that is there before, or in the guest that runs."""
    if way is RestoreWay.DISK:
        place = lab.disk(NAME, "vda").parent / "alone"
        place.mkdir(exist_ok=True)
        return Wishes(way, disks=BOTH, to=str(place))
    return Wishes(way, disks=BOTH, attach=READER_SPEC.name) if way is RestoreWay.ATTACH else Wishes(way)


async def everything(lab: Laboratory, host: Host) -> tuple[object, ...]:
    """All that a restore could change: definitions, power, and every file beside the guest's images by its content.

    What an undo has kept, and a guest's console, may stay; a guest that runs writes to its own images.
    """
    place = lab.disk(NAME, "vda").parent
    guests = await host.list_domains()
    domains = {each.name: (each.power, each.disks, _definition(await host.stored_xml(each.uuid))) for each in guests}
    busy = {disk.source for each in guests if each.power is PowerState.RUNNING for disk in each.disks}
    files = [path for path in place.rglob("*") if ".undone-restore-" not in path.name and path.suffix != ".console"]
    return domains, {str(path): sum_of(path) if path.is_file() and str(path) not in busy else "" for path in files}


def _definition(xml: str) -> str:
    """libvirt keeps the empty element of a domain whose last metadata was taken off."""
    return xml.replace("  <metadata/>\n", "")


async def what_is_not_new(lab: Laboratory, host: Host, plan: RestorePlan, folder: Path) -> list[str]:
    """The guest is defined on the backup's disks, or has them; the former images are beside them."""
    wrong: list[str] = []
    there: dict[str, Disk] = {}
    if plan.way is not RestoreWay.DISK:
        xml = await (host.live_xml if plan.way is RestoreWay.ATTACH else host.stored_xml)(plan.uuid)
        there = disks_by_target(xml)
    for file in plan.disks:
        disk = there.get(file.attach_as or file.name)
        if plan.way is not RestoreWay.DISK and (disk is None or disk.source != file.to):
            wrong.append(f"{file.name} is on {None if disk is None else disk.source}")
        if file.attach_as and disk is not None and not disk.readonly:
            wrong.append(f"{file.name} can be written to")
        if sum_of(Path(file.to)) != sum_of(folder / file.file):
            wrong.append(f"{file.to} is not what was saved")
        if file.aside and Path(file.aside).read_bytes() != RUINED + file.name.encode():
            wrong.append(f"the former image of {file.name} is lost")
        if os.path.lexists(file.partial):
            wrong.append(f"stray {file.partial}")
    if plan.keeps_definition:
        others = (target for target in BOTH if target in plan.left_out)
        wrong += [f"{o} was touched" for o in others if lab.disk(NAME, o).read_bytes() != RUINED + o.encode()]
    return wrong


async def clear(host: Host, run: RestoreRun) -> None:
    """Back to the state before, by the order that is there for it, or as any other guest is removed."""
    plan = run.plan
    if plan.way is RestoreWay.CLONE:
        await host.undefine(plan.uuid)
        shutil.rmtree(plan.own_folder)
        return
    if plan.way is RestoreWay.DISK:
        for file in plan.files:
            Path(file.to).unlink()
        return
    session = HostSession(connect, plan.uri, Patience())
    try:
        await undo_restore(session, run)
    finally:
        await session.close()


def sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table(cells: list[Cell]) -> str:
    """The matrix in text, with the problems below."""
    lines = [f"{cell.way:<12}{cell.moment:<12}{'LOST' if cell.problems else cell.state}" for cell in cells]
    well = sum(not cell.problems for cell in cells)
    lines.append(f"{well} of {len(cells)} cells are well")
    lines += [f"{cell.way} x {cell.moment}: {problem}" for cell in cells for problem in cell.problems]
    return "\n".join(lines)
