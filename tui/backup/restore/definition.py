"""The definition a restored guest gets, made from the saved one; every change to it is named with its reason. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from tui.backup.clone_private import make_private
from tui.backup.clone_xml import DISKS_WORD, clone_xml
from tui.backup.restore.plan import NVRAM_NAME, Change, ChangeKind, RestoredFile, RestorePlan, RestoreWay
from tui.hosts.domain_xml import parse_tree

_REASONS = {
    ChangeKind.NETWORK: "this host has no network {subject}",
    ChangeKind.BRIDGE: "this host has no bridge {subject}",
    ChangeKind.EJECT: "its medium is not on this host",
    ChangeKind.POOL: "its storage pool is not on this host",
    ChangeKind.FILE: "what is on a device cannot be moved aside; the device stays as it is",
    ChangeKind.MACHINE: "this host's QEMU does not know the machine type",
    ChangeKind.CPU: "this host cannot give the guest that processor",
    ChangeKind.TYPE: "this host does not offer that kind of virtualization",
    ChangeKind.EMULATOR: "that emulator is not on this host",
}


@dataclass(frozen=True, slots=True)
class ExplainedChange:
    """One difference between the saved definition and the restored one: what, and why."""

    what: str
    why: str


def with_restored_disks(plan: RestorePlan, present: str) -> str:
    """A guest's present definition with the plan's disks on their restored images.

    The same text where they are on them already. Raises MalformedXmlError.
    """
    root = parse_tree(present)
    before = ET.tostring(root)
    for disk in plan.disks:
        for element in _disks(root, disk.name):
            _put_on(element, disk, keeps_name=disk.name not in plan.into_files)
    return present if ET.tostring(root) == before else ET.tostring(root, encoding="unicode") + "\n"


def with_former_disks(plan: RestorePlan, present: str, former: str) -> str:
    """A guest's present definition with what a restore of chosen disks changed in `former` as it was there.

    The same text where it changed nothing. Raises MalformedXmlError.
    """
    root, then, after = (parse_tree(xml) for xml in (present, former, with_restored_disks(plan, former)))
    changed = False
    for devices in root.findall("devices"):
        for disk in plan.disks:
            trio = zip(*(_disks(tree, disk.name) for tree in (root, then, after)), strict=False)
            for element, before, restored in trio:
                if ET.tostring(before).strip() != ET.tostring(restored).strip():
                    devices[list(devices).index(element)] = before
                    changed = True
    return ET.tostring(root, encoding="unicode") + "\n" if changed else present


def restored_xml(plan: RestorePlan, stored: str) -> str:
    """The definition to define; raises MalformedXmlError."""
    if plan.way is not RestoreWay.IN_PLACE:
        has_nvram = any(file.name == NVRAM_NAME for file in plan.files)
        stored = clone_xml(stored, {disk.name: Path(disk.to).name for disk in plan.disks}, has_nvram=has_nvram)
    root = parse_tree(stored)
    for nvram in root.findall("./os/nvram"):
        nvram.text = (nvram.text or "").replace(DISKS_WORD, plan.own_folder) or None
    _set_text(root, "name", plan.guest)
    _set_text(root, "uuid", plan.uuid)
    for disk in plan.disks:
        for element in _disks(root, disk.name):
            keeps_name = plan.way is RestoreWay.IN_PLACE and disk.name not in plan.into_files
            _put_on(element, disk, keeps_name=keeps_name)
    for change in plan.changes:
        _apply(root, change)
    if plan.way is RestoreWay.CLONE and not plan.link_down:
        for interface in root.findall("./devices/interface"):
            _remove(interface, "link")
    return ET.tostring(root, encoding="unicode") + "\n"


def explained_changes(plan: RestorePlan, stored: str) -> tuple[ExplainedChange, ...]:
    """What is different in the restored definition; empty where nothing is defined. Raises MalformedXmlError.

    `stored` is the backup's, or the present one of a guest that keeps it.
    """
    if not (plan.defines or plan.keeps_definition):
        return ()
    root = parse_tree(stored)
    words = [] if plan.way is RestoreWay.IN_PLACE else list(_clone_changes(plan, root))
    words += [
        ExplainedChange(
            f"disk {disk.name} is {disk.to_format}", f"its copy in the backup is {disk.format}, in one file"
        )
        for disk in plan.disks
        for element in _disks(root, disk.name)
        if (driver := element.find("driver")) is not None and driver.get("type") != disk.to_format
    ]
    words += [
        ExplainedChange(f"disk {disk.name} without images below it", "its copy in the backup is in one piece")
        for disk in plan.disks
        for element in _disks(root, disk.name)
        if plan.keeps_definition and element.find("backingStore") is not None
    ]
    return (*words, *(_explain(change) for change in plan.changes))


def _clone_changes(plan: RestorePlan, root: ET.Element) -> Iterator[ExplainedChange]:
    yield ExplainedChange(f"name {plan.guest}, in place of {plan.source}", "two guests cannot have one name")
    yield ExplainedChange(f"UUID {plan.uuid}", "the host tells guests apart by it")
    for disk in plan.disks:
        yield ExplainedChange(f"disk {disk.name} on {disk.to}", "a copy of its own")
    if root.find("./os/nvram") is not None:
        nvram = next((file.to for file in plan.files if file.name == NVRAM_NAME), "made anew from its template")
        yield ExplainedChange(f"UEFI variables: {nvram}", "firmware writes to them")
    yield from _tpm_changes(plan, root)
    kept = {disk.name for disk in plan.disks} | set(plan.left_out)
    if plan.left_out:
        yield ExplainedChange(f"without the disks {', '.join(plan.left_out)}", "they were not chosen")
    gone = [t for element in root.findall("./devices/disk") if (t := _target(element)) not in kept]
    if gone:
        yield ExplainedChange(f"without the disks or media of {', '.join(gone)}", "they are not in the backup")
    for taken in make_private(deepcopy(root)):
        yield ExplainedChange(taken.what, taken.why)
    if root.find("./devices/interface") is not None:
        yield ExplainedChange("new MAC addresses, chosen by libvirt", "two guests must not share one")
        if plan.link_down or plan.way is RestoreWay.BOOT_TEST:
            yield ExplainedChange("network links down", "it has the first guest's addresses")
    yield ExplainedChange("agent socket, console and displays of its own; no autostart", "they are the first guest's")


def _tpm_changes(plan: RestorePlan, root: ET.Element) -> Iterator[ExplainedChange]:
    backends = [backend.get("type", "") for backend in root.findall("./devices/tpm/backend")]
    if "emulator" in backends:
        state = next((f"in {file.to}" for file in plan.files if file.is_folder), "made anew at the first start")
        yield ExplainedChange(f"TPM state: {state}", "libvirt keeps it by the guest's UUID")
    if any(backend != "emulator" for backend in backends):
        yield ExplainedChange("without the TPM", "it is the first guest's alone")


def _explain(change: Change) -> ExplainedChange:
    return ExplainedChange(change.word, _REASONS[change.kind].format(subject=change.subject))


def _put_on(element: ET.Element, disk: RestoredFile, *, keeps_name: bool) -> None:
    """Name the image, by its path; or let the guest go on naming its disk as it did, by volume or by path."""
    for tag in ("backingStore", "mirror"):
        _remove(element, tag)
    driver = element.find("driver")
    if driver is None:
        driver = ET.SubElement(element, "driver", name="qemu")
    driver.set("type", disk.to_format)
    if not keeps_name:
        _name_by_path(element, disk.to)


def _name_by_path(element: ET.Element, path: str) -> None:
    element.set("type", "file")
    _remove(element, "source")
    ET.SubElement(element, "source", file=path)


def _apply(root: ET.Element, change: Change) -> None:
    match change.kind:
        case ChangeKind.NETWORK | ChangeKind.BRIDGE:
            _plug(root, change)
        case ChangeKind.EJECT | ChangeKind.POOL:
            for element in _disks(root, change.subject):
                _remove(element, "backingStore")
                _remove(element, "source")
                if change.kind is ChangeKind.POOL:
                    _name_by_path(element, change.value)
        case ChangeKind.CPU:
            _remove(root, "cpu")
            ET.SubElement(root, "cpu", mode=change.value)
        case ChangeKind.TYPE:
            root.set("type", change.value)
        case ChangeKind.FILE:
            return  # The plan's disk is that file: the definition names it already.
        case ChangeKind.MACHINE | ChangeKind.EMULATOR:
            _name_machine(root, change)


def _plug(root: ET.Element, change: Change) -> None:
    for source in root.findall(f"./devices/interface[@type='{change.kind}']/source"):
        if source.get(change.kind) == change.subject:
            source.attrib.clear()
            source.set(change.kind, change.value)


def _name_machine(root: ET.Element, change: Change) -> None:
    for element in root.findall("./os/type"):
        if change.kind is ChangeKind.MACHINE:
            element.set("machine", change.value)
    for element in root.findall("./devices/emulator"):
        if change.kind is ChangeKind.EMULATOR:
            element.text = change.value


def _disks(root: ET.Element, target: str) -> list[ET.Element]:
    return [element for element in root.findall("./devices/disk") if _target(element) == target]


def _target(element: ET.Element) -> str:
    target = element.find("target")
    return "" if target is None else target.get("dev", "")


def _set_text(root: ET.Element, tag: str, text: str) -> None:
    element = root.find(tag)
    if element is None:
        element = ET.SubElement(root, tag)
    element.text = text


def _remove(parent: ET.Element, tag: str) -> None:
    for element in parent.findall(tag):
        parent.remove(element)
