"""The state of an emulated TPM goes into a backup and comes back: beside the first guest, in place, and undone."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.live import tpm
from tests.live.backup_fixtures import facts_of
from tests.live.restoring import back_up, qga_tui, restored
from tests.live.test_backup_kinds import start_second
from tui.backup.restore.plan import RestoreWay, StopWay
from tui.backup.restore.wishes import Wishes
from tui.backup.runs import list_restores
from tui.backup.runstate import EXIT_DONE
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec

pytestmark = pytest.mark.skipif(
    shutil.which("swtpm") is None or shutil.which("swtpm_setup") is None,
    reason="the packages swtpm and swtpm-tools are not installed",
)
NAME, SECOND, BY_HAND = "vault-tpm", "vault-tpm2", "vault-tpm-restored"
SECRET = b"BitLock1"


@pytest.mark.long
async def test_a_tpm_comes_back_with_what_was_sealed_to_it(lab: Laboratory, host: Host, target: Path) -> None:
    await lab.add(GuestSpec(NAME, extra_devices=(tpm.DEVICE,)))
    await lab.wait_for_agent(NAME)
    state = await tpm.state_of(host, NAME)
    states = state.parents[2]
    with state.open("rb") as former:
        blank = former.read()
        await tpm.put(lab, NAME, SECRET)
        # A copy begun before a write ends with the state of then: the new one is another file by the same name.
        assert os.fstat(former.fileno()).st_nlink == 0
        former.seek(0)
        assert former.read() == blank
    kept = state.read_bytes()
    folder = await back_up(host, target, name=NAME)
    assert (folder / "tpm" / state.name).read_bytes() == kept
    assert f"{hashlib.sha256(kept).hexdigest()}  tpm/{state.name}" in (folder / "SHA256SUMS").read_text().splitlines()
    told = json.loads((folder / "manifest.json").read_text())["tpm"]
    assert (told["path"], told["files"], told["secret"]) == (str(state.parent), [state.name], "")

    await tpm.forget_all(lab, NAME)
    assert await tpm.held(lab, NAME) == b""
    cleared = state.read_bytes()
    before = {path.name for path in states.iterdir()}
    await restored(host, folder, Wishes(RestoreWay.BOOT_TEST))
    assert {path.name for path in states.iterdir()} == before

    await restored(host, folder, Wishes(name=SECOND))
    own = states / (await facts_of(host, SECOND)).uuid / "tpm2" / state.name
    assert own.read_bytes() == kept
    await lab.virsh("undefine", SECOND, "--tpm")
    await start_second(lab, folder, BY_HAND)
    assert await tpm.held(lab, BY_HAND) == SECRET
    await tpm.forget_all(lab, BY_HAND)
    assert await tpm.held(lab, BY_HAND) == b""
    assert state.read_bytes() == cleared
    await lab.virsh("destroy", BY_HAND)
    await lab.virsh("undefine", BY_HAND, "--tpm")
    assert {path.name for path in states.iterdir()} == before

    owner = (state.stat().st_uid, state.stat().st_mode, state.parent.stat().st_mode)
    await restored(host, folder, Wishes(RestoreWay.IN_PLACE, stop=StopWay.FORCE_OFF))
    assert state.read_bytes() == kept
    assert (state.stat().st_uid, state.stat().st_mode, state.parent.stat().st_mode) == owner
    (run,) = (run for run in list_restores() if run.plan.way is RestoreWay.IN_PLACE)
    aside = next(Path(file.aside) for file in run.plan.files if file.is_folder)
    assert (aside / "tpm2" / state.name).read_bytes() == cleared
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)
    assert await tpm.held(lab, NAME) == SECRET
    await lab.virsh("destroy", NAME)

    code, said = await qga_tui(lab, "restore", str(folder), "--undo")
    assert code == EXIT_DONE, said
    assert not aside.exists()
    assert state.read_bytes() == cleared

    uuid = (await facts_of(host, NAME)).uuid
    await lab.virsh("undefine", NAME, "--tpm")
    assert not state.exists()
    await restored(host, folder, Wishes(RestoreWay.IN_PLACE))
    await host.undefine(uuid)
    assert state.read_bytes() == kept
