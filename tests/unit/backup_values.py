"""A plan and a definition for the tests of the backup's pure parts."""

from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, overlay_beside

STAMP = "20261122T214300Z"
UUID = "0f7ab5a4-9a3c-4a35-8d0a-6b7c4a5b2c11"

DOMAIN = """<domain type='kvm'><name>web 1</name><uuid>{uuid}</uuid><genid>x</genid>
<metadata><a xmlns='urn:x'/></metadata>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{vda}'{index}/>{below}
<target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/images/data.raw'/>
<target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='cdrom'><source file='/iso/a.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>
<serial type='file'><source path='/log/serial'/><target port='0'/></serial>
<channel type='unix'><source mode='bind' path='/run/a.sock'/>
<target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' port='5901' autoport='no'/>
</devices></domain>"""


def planned(target: str, base: str, image_format: ImageFormat = ImageFormat.QCOW2) -> PlannedDisk:
    return PlannedDisk(target, base, image_format, overlay_beside(base, STAMP, target))


def a_plan(base: str = "/images/web.qcow2", guest: str = "web 1", target: str = "/backups") -> BackupPlan:
    return BackupPlan(
        run_id="0123abcd",
        stamp=STAMP,
        host="here",
        uri="qemu:///system",
        uuid=UUID,
        guest=guest,
        target=target,
        disks=(planned("vda", base), planned("vdb", "/images/data.raw", ImageFormat.RAW)),
        left_out=("sda",),
    )


def domain_xml(vda: str = "/images/web.qcow2", below: str = "") -> str:
    return DOMAIN.format(uuid=UUID, vda=vda, below=below, index="")
