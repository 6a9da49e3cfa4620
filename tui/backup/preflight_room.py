"""Whether there is room for a backup: on its target, beside the images for the guest's writes, and for their merge."""

from __future__ import annotations

from collections.abc import Iterator

from tui.backup.checks import Check, failed, passed, warned
from tui.backup.device_room import enlarge_words, most_bytes
from tui.backup.evidence import Evidence, ImageEvidence
from tui.backup.plan import BackupPlan, Source
from tui.backup.reach import FileSystem
from tui.model.guest import PowerState
from tui.model.quantities import size

MARGIN_BYTES = 64 * 1024 * 1024
"""What has to stay free beside the copy: manifest, notes, and the file system's own needs."""
OVERLAY_SHARE = 10
"""An overlay is expected to stay below a tenth of the disk's data; less free space is worth a warning."""


def room_checks(plan: BackupPlan, evidence: Evidence) -> Iterator[Check]:
    """Each place that a run writes to, in the order in which it does."""
    yield _target(plan, evidence)
    yield from _overlay_space(evidence)
    yield from _merge_space(evidence)
    if evidence.facts.power is not PowerState.OFF:
        yield from _device_space(evidence)


def _target(plan: BackupPlan, evidence: Evidence) -> Check:
    there = evidence.target_file_system
    if there is None:
        return failed("Target", f"there is no folder {plan.target}", "Mount or make it.")
    if not there.writable:
        return failed("Target", f"{plan.target}: this user may not write there", "Choose another folder.")
    needed = sum(image.data_bytes for image in evidence.images) + MARGIN_BYTES
    needed += sum(each.bytes for each in evidence.boot_files if not each.reason)
    if plan.source is Source.STREAM:
        # An image that is converted is copied to the target first; one at a time.
        needed += max((image.data_bytes for image in evidence.images if plan.is_converted(image.disk)), default=0)
    words = f"{plan.target}: {size(there.free_bytes)} free, about {size(needed)} needed"
    if there.free_bytes < needed:
        return failed("Target", words, "Make room there, or choose another folder.")
    return passed("Target", words)


def _overlay_space(evidence: Evidence) -> Iterator[Check]:
    for there in {image.file_system for image in evidence.images if image.file_system is not None}:
        on_it = [image for image in evidence.images if image.file_system == there]
        yield _room_for_overlays(there, on_it, evidence)


def _room_for_overlays(there: FileSystem, on_it: list[ImageEvidence], evidence: Evidence) -> Check:
    title = "Room for the guest's writes"
    target = evidence.target_file_system
    copy_bytes = sum(image.data_bytes for image in evidence.images)
    free = there.free_bytes - (copy_bytes if target is not None and target.device == there.device else 0)
    expected = sum(image.data_bytes for image in on_it) // OVERLAY_SHARE + MARGIN_BYTES
    # The merge writes to the bases before the overlays are gone.
    expected += sum(_merge_growth(image) for image in evidence.images if _lies_on(image, there.device))
    words = f"{size(max(free, 0))} free beside {', '.join(image.disk.target for image in on_it)}"
    if free < MARGIN_BYTES:
        return failed(title, words, "Make room beside the images.")
    if free < expected:
        return warned(title, words, "The backup is given up when the room runs out; the guest then goes on.")
    return passed(title, words)


def _merge_growth(image: ImageEvidence) -> int:
    """Bytes by which the merge is expected to make an image grow: by what it takes in, up to its size in the guest."""
    return min(max(image.virtual_bytes - image.data_bytes, 0), image.data_bytes // OVERLAY_SHARE)


def _lies_on(image: ImageEvidence, device: int) -> bool:
    return image.base_file_system is not None and image.base_file_system.device == device


def _merge_space(evidence: Evidence) -> Iterator[Check]:
    """Where images are links into another file system: those beside their overlays are counted there."""
    beside = {image.file_system.device for image in evidence.images if image.file_system is not None}
    bases = (image.base_file_system for image in evidence.images if image.base_file_system is not None)
    for there in {base.device: base for base in bases if base.device not in beside}.values():
        on_it = [image for image in evidence.images if _lies_on(image, there.device)]
        words = f"{size(there.free_bytes)} free where {', '.join(image.disk.target for image in on_it)} lies"
        if there.free_bytes < sum(map(_merge_growth, on_it)) + MARGIN_BYTES:
            waits = "The merge waits until room is made there; the guest runs on its overlay meanwhile."
            yield warned("Room for the merge", words, waits)
        else:
            yield passed("Room for the merge", words)


def _device_space(evidence: Evidence) -> Iterator[Check]:
    """A qcow2 image on a device has that device's room and no more: what the guest writes meanwhile is merged there."""
    for image in evidence.images:
        if not image.disk.is_device or image.header is None or not image.length:
            continue
        title, most = "Room for the merge", most_bytes(image.header)
        if image.length >= most:
            yield passed(title, f"{image.disk.base} has room for all that {image.disk.target} can hold")
            continue
        used = f", {size(image.used_bytes)} of it used" if image.used_bytes else ""
        words = f"{image.disk.base} has {size(image.length)}{used}; {image.disk.target} may need up to {size(most)}"
        more = f"{enlarge_words(image.disk.base, most)}. Else the merge of much that is written meanwhile fails"
        yield warned(title, words, f"{more}, and waits until there is room; the guest goes on.")
