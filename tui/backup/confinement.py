"""What AppArmor and SELinux have to do with a guest's images, and what to look at when an image is denied."""

from __future__ import annotations

from dataclasses import dataclass

from tui.hosts.domain_xml import parse_tree

APPARMOR, SELINUX = "apparmor", "selinux"
OVERLAYS_WRITABLE_SINCE = (12, 1, 0)
"""The libvirt whose AppArmor profiles let a guest that was started on an overlay write to the base (libvirt#806)."""
_DENIED = ("permission denied", "operation not permitted")


@dataclass(frozen=True, slots=True)
class Confinement:
    """The security driver that confines a running guest's QEMU, and its label there; both empty without one."""

    model: str = ""
    label: str = ""

    @property
    def words(self) -> str:
        """Who confines the guest, for a check's evidence."""
        names = {APPARMOR: "AppArmor profile", SELINUX: "SELinux label"}
        return f"{names.get(self.model, self.model)} {self.label}".strip()


UNCONFINED = Confinement()


def confinement_of(live_xml: str) -> Confinement:
    """Who confines a running guest; raises MalformedXmlError. File owners (model dac) are no confinement."""
    for seclabel in parse_tree(live_xml).findall("seclabel"):
        if seclabel.get("model") in (APPARMOR, SELINUX) and seclabel.get("type") != "none":
            return Confinement(seclabel.get("model", ""), (seclabel.findtext("label") or "").strip())
    return UNCONFINED


def bars_late_merge(confinement: Confinement, libvirt: str) -> bool:
    """Whether a guest that is started while on an overlay cannot be merged as it runs; `libvirt` is its version."""
    numbers = tuple(int(word) for word in libvirt.split(".") if word.isdecimal())
    return confinement.model == APPARMOR and numbers < OVERLAYS_WRITABLE_SINCE


def is_denial(text: str) -> bool:
    """Whether the words of QEMU or libvirt say that the system refused a file (EACCES, EPERM)."""
    return any(words in text.lower() for words in _DENIED)


def denial_advice(text: str, confinement: Confinement, path: str) -> str:
    """Where to look after QEMU was denied `path`, empty where `text` tells of no denial. Never: switch it off."""
    if not is_denial(text):
        return ""
    owner = f"QEMU was refused {path}: see its owner and mode (ls -lZ)"
    if confinement.model == APPARMOR:
        profile = f"/etc/apparmor.d/libvirt/{confinement.label}.files"
        return f"{owner}, the guest's AppArmor profile ({profile}) and what it denied (journalctl -k -g DENIED)."
    if confinement.model == SELINUX:
        return f"{owner}, and what SELinux denied to {confinement.label} (journalctl -g 'avc:.*denied')."
    return f"{owner}; neither AppArmor nor SELinux confines this guest."
