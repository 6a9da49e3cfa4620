"""Files that a definition hands to QEMU past libvirt are named; arguments that name none are not."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.backup.qemu_arguments import QEMU, named_by_arguments


def of(*arguments: str) -> list[str]:
    root = ET.Element("domain")
    line = ET.SubElement(root, f"{{{QEMU}}}commandline")
    for argument in arguments:
        ET.SubElement(line, f"{{{QEMU}}}arg", value=argument)
    return list(named_by_arguments(root))


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("-drive", "id=x,if=none,format=raw,file=/d/extra.raw", "/d/extra.raw"),
        ("--drive", "file=/d/a,,b.raw,if=none", "/d/a,b.raw"),
        ("-drive", "if=pflash,format=raw,file=/d/OVMF_VARS.fd", "/d/OVMF_VARS.fd"),
        ("-drive", "file.driver=file,file.filename=/d/x.img,driver=qcow2", "/d/x.img"),
        ("-drive", 'file=json:{"driver":"raw",,"file":{"driver":"file",,"filename":"/d/j.raw"}},if=none', "/d/j.raw"),
        ("-drive", "file=nbd://host/x,format=raw", "nbd://host/x"),
        ("-blockdev", '{"driver":"raw","node-name":"n","file":{"driver":"file","filename":"/d/b.raw"}}', "/d/b.raw"),
        ("-blockdev", "driver=raw,node-name=n,file.driver=host_device,file.filename=/dev/sdx", "/dev/sdx"),
        ("-blockdev", "driver=nvme,device=0000:01:00.0,namespace=1,node-name=n", "nvme 0000:01:00.0"),
        ("-hda", "/d/hda.img", "/d/hda.img"),
        ("-pflash", "/d/flash.fd", "/d/flash.fd"),
        ("-usbdevice", "disk:/d/stick.img", "disk:/d/stick.img"),
        ("-fsdev", "local,id=f,path=/srv/share,security_model=none", "/srv/share"),
        ("-virtfs", "local,path=/srv/share,mount_tag=t,security_model=none", "/srv/share"),
        ("-object", "memory-backend-file,id=m,size=1G,mem-path=/nv/m.img,share=on", "/nv/m.img"),
        ("-object", '{"qom-type":"memory-backend-file","id":"m","mem-path":"/nv/m.img"}', "/nv/m.img"),
        ("-device", "vfio-pci,host=01:00.0", "vfio-pci 01:00.0"),
        ("-device", "usb-host,vendorid=0x0951,productid=0x1666", "usb-host 0x0951 0x1666"),
        ("-device", '{"driver":"vhost-user-blk-pci","chardev":"c"}', "vhost-user-blk-pci c"),
        ("-device", "vhost-vdpa-device-pci,vhostdev=/dev/vhost-vdpa-0", "vhost-vdpa-device-pci /dev/vhost-vdpa-0"),
        ("-readconfig", "/etc/q.cfg", "/etc/q.cfg, a file of options that is not read"),
        ("-set", "drive.x.file=/d/set.img", "/d/set.img"),
    ],
)
def test_what_a_guest_may_write_to_is_named(option: str, value: str, name: str) -> None:
    dashless = option.lstrip("-")
    assert of("-name", "x", option, value, "-S") == [f"-{dashless} {name}"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("-drive", "file=/iso/a.iso,media=cdrom,if=none"),
        ("-drive", "file=/d/a.raw,readonly=on,if=none"),
        ("-drive", "if=none,id=empty"),
        ("-blockdev", '{"driver":"raw","read-only":true,"file":{"driver":"file","filename":"/d/b.raw"}}'),
        ("-blockdev", "driver=null-co,node-name=n"),
        ("-cdrom", "/iso/a.iso"),
        ("-object", "rng-random,id=r,filename=/dev/urandom"),
        ("-object", "memory-backend-file,id=m,mem-path=/dev/hugepages,size=1G"),
        ("-object", "memory-backend-ram,id=m,size=1G"),
        ("-device", "virtio-net-pci,netdev=n"),
        ("-netdev", "user,id=n,hostfwd=tcp::22-:22"),
        ("-cpu", "host"),
        ("-fw_cfg", "name=opt/x,string=y"),
    ],
)
def test_what_holds_nothing_of_the_guest_is_no_matter(option: str, value: str) -> None:
    assert of(option, value) == []


def test_each_argument_is_named_once() -> None:
    assert of("-hda", "/a", "-hda", "/b") == ["-hda /a", "-hda /b"]
    assert of() == of("-drive") == []


@given(
    st.lists(
        st.sampled_from(("-drive", "-blockdev", "-object", "-device", "-set", "{", "file=", ",,", "a=b,c")) | st.text()
    )
)
def test_no_line_of_arguments_breaks_the_reading(arguments: list[str]) -> None:
    root = ET.Element("domain")
    line = ET.SubElement(root, f"{{{QEMU}}}commandline")
    for argument in arguments:
        ET.SubElement(line, f"{{{QEMU}}}arg", value=argument)
    assert all(isinstance(each, str) for each in named_by_arguments(root))
