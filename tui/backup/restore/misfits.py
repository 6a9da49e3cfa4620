"""What a definition needs and a host lacks, with the change that would do. Changes nothing."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from tui.backup.restore.needs import Needs
from tui.backup.restore.plan import Change, ChangeKind, RestorePlan, RestoreWay
from tui.backup.restore.saved import SavedBackup
from tui.hosts.domain_xml import parse_tree
from tui.hosts.port import Host, HostError, HostUnreachableError

_NETWORK_DEVICES = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something the definition needs and the host lacks, with the change that would do; None where there is none."""

    title: str
    evidence: str
    change: Change | None = None


async def misfits_of(host: Host, needs: Needs, saved: SavedBackup, plan: RestorePlan) -> tuple[Misfit, ...]:
    """All that the host lacks of what the definition needs; raises HostError."""
    networks, pools = await host.network_names(), await host.pool_names()
    found = [
        Misfit("Network", f"there is no network {name}", _other(ChangeKind.NETWORK, name, networks))
        for name in needs.networks
        if networks is not None and name not in networks
    ]
    found += [
        Misfit("Bridge", f"there is no bridge {name}", _other(ChangeKind.BRIDGE, name, _bridges()))
        for name in needs.bridges
        if not (_NETWORK_DEVICES / name).exists()
    ]
    found += [
        Misfit("Network", f"there is no interface {name} on this host", None)
        for name in needs.host_interfaces
        if not (_NETWORK_DEVICES / name).exists()
    ]
    if plan.way is RestoreWay.IN_PLACE:
        found += _missing_media(needs) + _missing_pools(needs, pools, plan)
    if needs.loader and not await asyncio.to_thread(os.path.exists, needs.loader):
        found.append(Misfit("Firmware", f"{needs.loader} is missing: install the package ovmf (or edk2)"))
    found += await asyncio.to_thread(missing_boot_files, needs, saved)
    return (*found, *await _machine_misfits(host, needs))


def missing_boot_files(needs: Needs, saved: SavedBackup) -> list[Misfit]:
    """A kernel on the host's disk is put there by its user: other guests may start from it, too."""
    kept = {each.path: f": cd {quote(str(saved.folder))} && {each.put_there}" for each in saved.boot_files}
    return [
        Misfit("Kernel", f"the guest is started with {path}, which is missing: put it there first{kept.get(path, '')}")
        for path in needs.boot_files
        if not Path(path).exists()
    ]


def _missing_media(needs: Needs) -> list[Misfit]:
    return [
        Misfit("Medium", f"{path} in {target} is not there", Change(ChangeKind.EJECT, target))
        for target, path in needs.media.items()
        if not Path(path).exists()
    ]


def _missing_pools(needs: Needs, pools: frozenset[str] | None, plan: RestorePlan) -> list[Misfit]:
    paths = {disk.name: disk.to for disk in plan.disks}
    return [
        Misfit(
            "Storage pool",
            f"{target} is a volume of the pool {pool}, which is not there",
            Change(ChangeKind.POOL, target, paths[target]) if target in paths else Change(ChangeKind.EJECT, target),
        )
        for target, pool in needs.volumes.items()
        if pools is not None and pool not in pools and target not in plan.into_files
    ]


def _other(kind: ChangeKind, name: str, there: frozenset[str] | None) -> Change | None:
    """The one to take instead: libvirt's default where it is there, else any."""
    if not there:
        return None
    return Change(kind, name, "default" if "default" in there else min(there))


def _bridges() -> frozenset[str]:
    try:
        return frozenset(each.name for each in _NETWORK_DEVICES.iterdir() if (each / "bridge").is_dir())
    except OSError:
        return frozenset()


async def _machine_misfits(host: Host, needs: Needs) -> tuple[Misfit, ...]:
    """What of virtualization, emulator, machine and processor this host cannot give, found by asking for less."""
    xml, problem = await _capabilities(host, needs.kind, needs.arch, needs.machine, needs.emulator)
    if xml:
        return (*_cpu_misfits(needs, xml), *tpm_misfits(needs, xml))
    xml, _ = await _capabilities(host, needs.kind, needs.arch, needs.machine, "")
    if xml and needs.emulator:
        path = (parse_tree(xml).findtext("path") or "").strip()
        change = Change(ChangeKind.EMULATOR, value=path) if path else None
        return (Misfit("Emulator", f"{needs.emulator}: {problem}", change),)
    xml, _ = await _capabilities(host, needs.kind, needs.arch, "", "")
    if xml:
        alias = "q35" if "q35" in needs.machine else (parse_tree(xml).findtext("machine") or "pc").strip()
        return (Misfit("Machine", f"{needs.machine}: {problem}", Change(ChangeKind.MACHINE, value=alias)),)
    xml, _ = await _capabilities(host, "", needs.arch, "", "")
    kind = (parse_tree(xml).findtext("domain") or "").strip() if xml else ""
    return (Misfit("Virtualization", problem, Change(ChangeKind.TYPE, value=kind) if kind else None),)


async def _capabilities(host: Host, kind: str, arch: str, machine: str, emulator: str) -> tuple[str, str]:
    """The XML, or why there is none."""
    try:
        return await host.domain_capabilities(kind, arch, machine, emulator), ""
    except HostUnreachableError:
        raise
    except HostError as error:
        return "", error.original or error.one_line()


def tpm_misfits(needs: Needs, xml: str) -> tuple[Misfit, ...]:
    """An emulated TPM that the host's capabilities do not offer; a libvirt that tells nothing of TPMs lacks none."""
    backends = parse_tree(xml).findall("./devices/tpm/enum[@name='backendModel']/value")
    if needs.tpm is None or not needs.tpm.is_emulated or not backends or "emulator" in [b.text for b in backends]:
        return ()
    return (Misfit("TPM", "this host cannot emulate one: install the packages swtpm and swtpm-tools"),)


def _cpu_misfits(needs: Needs, xml: str) -> tuple[Misfit, ...]:
    modes = {mode.get("name", ""): mode for mode in parse_tree(xml).findall("./cpu/mode")}
    if not modes or not needs.cpu_mode:
        return ()
    mode = modes.get(needs.cpu_mode)
    supported = mode is not None and mode.get("supported") == "yes"
    if supported and needs.cpu_mode == "custom" and mode is not None:
        models = {(model.text or "").strip(): model.get("usable", "") for model in mode.findall("model")}
        if models.get(needs.cpu_model, "no") != "no":
            return ()
    elif supported:
        return ()
    wanted = needs.cpu_model or needs.cpu_mode
    usable = (name for name in ("host-model", "maximum") if name in modes and modes[name].get("supported") == "yes")
    instead = next(usable, "")
    change = Change(ChangeKind.CPU, value=instead) if instead else None
    return (Misfit("Processor", f"this host cannot give the guest {wanted}", change),)
