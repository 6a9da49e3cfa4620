import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.hosts.domain_xml import MalformedXmlError, read_definition
from tui.model.guest import Channel

DOMAIN = """
<domain type='qemu' id='3'><name>db1</name><uuid>5f2c0c1e-0000-4000-8000-000000000001</uuid>
  <memory unit='KiB'>262144</memory><currentMemory unit='KiB'>131072</currentMemory><vcpu current='2'>4</vcpu>
  <devices>
    <controller type='virtio-serial' index='0'/>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='/images/db1.overlay.qcow2' index='4'/>
      <backingStore type='file' index='1'><format type='qcow2'/><source file='/images/db1.qcow2'/>
        <backingStore type='file'><format type='raw'/><source file='/images/base.raw'/><backingStore/></backingStore>
      </backingStore>
      <mirror type='file' job='active-commit' ready='yes'><source file='/images/db1.qcow2'/></mirror>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='volume' device='disk'><source pool='vms' volume='data'/><target dev='vdb' bus='virtio'/>
      <shareable/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{state}'/></channel>
  </devices></domain>
"""


@pytest.mark.parametrize(("state", "channel"), [("connected", Channel.OPEN), ("disconnected", Channel.CLOSED)])
def test_the_channel_state_is_the_port_in_the_live_xml(state: str, channel: Channel) -> None:
    assert read_definition(DOMAIN.format(state=state)).channel is channel


def test_a_channel_of_another_name_is_not_the_agents() -> None:
    xml = DOMAIN.format(state="connected").replace("guest_agent.0", "guest_agent.1")
    assert read_definition(xml).channel is Channel.ABSENT


def test_disks_carry_source_chain_and_mirror() -> None:
    definition = read_definition(DOMAIN.format(state="connected"))
    system, data, cdrom = definition.disks
    assert (system.target, system.source, system.format) == ("vda", "/images/db1.overlay.qcow2", "qcow2")
    assert system.backing == ("/images/db1.qcow2", "/images/base.raw")
    assert (system.mirror_job, system.mirror_ready) == ("active-commit", True)
    assert (data.source_type, data.source, data.shareable) == ("volume", "vms/data", True)
    assert (cdrom.device, cdrom.source, cdrom.readonly) == ("cdrom", "", True)
    assert (definition.memory_bytes, definition.vcpus) == (128 * 2**20, 2)
    assert definition.has_virtio_serial


@given(st.text())
def test_what_is_no_domain_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(MalformedXmlError):
        read_definition(text)


def test_an_entity_bomb_is_refused() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    with pytest.raises(MalformedXmlError):
        read_definition(f'<!DOCTYPE domain [<!ENTITY l0 "ha">{levels}]><domain><name>&l9;</name></domain>')
