"""Turns a guest's description into libvirt's domain XML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from tui.lab.spec import GuestSpec, disk_target

KERNEL_ARGS = (
    "console=ttyS0",
    "quiet",
    # Under load an emulated timer misses the kernel's self tests, and the boot hangs.
    "no_timer_check",
    "tsc=reliable",
    "random.trust_cpu=on",
    "mitigations=off",
    "panic=1",
)
OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""UEFI as the Debian package ovmf has it: the program, and the variables that libvirt begins a guest's file with."""
TRANSLATION_CACHE_MIB = 32
"""QEMU's cache of translated code: with 64 a guest takes 40 MB more of the host, with 16 a quarter more CPU to boot."""


@dataclass(frozen=True, slots=True)
class GuestPlace:
    """What the host gives a guest: its UUID and its files, `disks` in the order of its description.

    `nvram` is made by libvirt at the first start of a guest with UEFI.
    """

    uuid: str
    kernel: Path
    initrd: Path
    console_log: Path
    disks: tuple[Path, ...]
    nvram: Path


def domain_xml(spec: GuestSpec, place: GuestPlace, *, with_channel: bool) -> str:
    """The domain: emulated (TCG), kernel booted directly, a console pty, no device that the guests do not use."""
    domain = Element("domain", type="qemu")
    SubElement(domain, "name").text = spec.name
    SubElement(domain, "uuid").text = place.uuid
    SubElement(domain, "memory", unit="MiB").text = str(spec.memory_mib)
    SubElement(domain, "vcpu").text = "1"
    boot = SubElement(domain, "os")
    SubElement(boot, "type", arch="x86_64", machine="q35").text = "hvm"
    if spec.uefi:
        SubElement(boot, "loader", readonly="yes", type="pflash").text = str(OVMF_CODE)
        SubElement(boot, "nvram", template=str(OVMF_VARS)).text = str(place.nvram)
    SubElement(boot, "kernel").text = str(place.kernel)
    SubElement(boot, "initrd").text = str(place.initrd)
    SubElement(boot, "cmdline").text = " ".join((*KERNEL_ARGS, *spec.kernel_args))
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    SubElement(SubElement(features, "tcg"), "tb-cache", unit="MiB").text = str(TRANSLATION_CACHE_MIB)
    SubElement(domain, "cpu", mode="maximum")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "preserve")):
        SubElement(domain, f"on_{event}").text = action
    domain.append(_devices(spec, place, with_channel))
    return tostring(domain, encoding="unicode")


def _devices(spec: GuestSpec, place: GuestPlace, with_channel: bool) -> Element:
    devices = Element("devices")
    for index, (disk, path) in enumerate(zip(spec.disks, place.disks, strict=True)):
        element = SubElement(devices, "disk", type="file", device="disk")
        SubElement(element, "driver", name="qemu", type=disk.format)
        SubElement(element, "source", file=str(path))
        SubElement(element, "target", dev=disk_target(index), bus="virtio")
    SubElement(devices, "controller", type="usb", model="none")
    if spec.virtio_serial_controller:
        SubElement(devices, "controller", type="virtio-serial", index="0")
    if with_channel:
        channel = SubElement(devices, "channel", type="unix")
        SubElement(channel, "target", type="virtio", name=spec.channel_name)
    console = SubElement(devices, "serial", type="pty")
    SubElement(console, "log", file=str(place.console_log), append="on")
    SubElement(console, "target", port="0")  # else libvirt numbers it after the serial ports among the extra devices
    SubElement(devices, "memballoon", model="none")
    for extra in spec.extra_devices:
        devices.append(fromstring(extra))  # noqa: S314  # our own words
    return devices


def console_pty(live_xml: str) -> str:
    """The host's path of a running domain's console, empty while it has none."""
    source = fromstring(live_xml).find("./devices/serial[@type='pty']/source")  # noqa: S314  # of our own daemon
    return "" if source is None else source.get("path", "")
