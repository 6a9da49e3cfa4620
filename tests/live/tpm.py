"""An emulated TPM of a guest, used from inside: eight bytes put into it, read, and lost with all that it holds.

The commands are those of the TPM 2.0 library specification, part 3, for an index that its owner may define, write and
read without a password; nothing in the laboratory's guests speaks TPM.
"""

from pathlib import Path

from tests.live.backup_fixtures import facts_of
from tui.backup.tpm_place import look_at_tpm
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.model.guest import PowerState

DEVICE = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
LENGTH = 8
_INDEX = bytes.fromhex("01800001")
_OWNER, _LOCKOUT = bytes.fromhex("40000001"), bytes.fromhex("4000000a")
_NO_PASSWORD = bytes.fromhex("00000009400000090000000000")
_PUBLIC = _INDEX + bytes.fromhex("000b020600060000") + LENGTH.to_bytes(2, "big")
_ANSWER_HEAD = 16
"""Bytes of an answer before an index's content: tag, sizes, code, and the content's length."""
_DEFINE, _WRITE, _READ, _CLEAR = 0x12A, 0x137, 0x14E, 0x126


async def put(lab: Laboratory, name: str, secret: bytes) -> None:
    """Keep eight bytes in the guest's TPM."""
    await _ask(lab, name, _DEFINE, _OWNER, bytes(2) + len(_PUBLIC).to_bytes(2, "big") + _PUBLIC)
    await _ask(lab, name, _WRITE, _OWNER + _INDEX, LENGTH.to_bytes(2, "big") + secret + bytes(2))


async def held(lab: Laboratory, name: str) -> bytes:
    """The bytes in the guest's TPM, none where it has forgotten them."""
    answer = await _ask(lab, name, _READ, _OWNER + _INDEX, LENGTH.to_bytes(2, "big") + bytes(2), must=False)
    return answer[_ANSWER_HEAD : _ANSWER_HEAD + LENGTH]


async def forget_all(lab: Laboratory, name: str) -> None:
    """Clear the TPM: whatever was sealed to it stays locked."""
    await _ask(lab, name, _CLEAR, _LOCKOUT, b"")


async def state_of(host: Host, name: str) -> Path:
    """The file of a guest's state, of which nothing but a running swtpm tells in a session's daemon."""
    facts = await facts_of(host, name)
    xml, runs = await host.live_xml(facts.uuid), facts.power is not PowerState.OFF
    found = await look_at_tpm(host, xml, name=name, uuid=facts.uuid, runs=runs)
    assert found is not None
    assert found.state is not None, found.problem
    (file,) = found.state.files
    return Path(found.state.path) / file


async def _ask(lab: Laboratory, name: str, code: int, handles: bytes, words: bytes, *, must: bool = True) -> bytes:
    body = code.to_bytes(4, "big") + handles + _NO_PASSWORD + words
    request = b"\x80\x02" + (len(body) + 6).to_bytes(4, "big") + body
    octal = "".join(f"\\{byte:03o}" for byte in request)
    asked = f"exec 3<>/dev/tpm0; printf '{octal}' >&3; dd bs=4096 count=1 <&3 2>/dev/null | od -An -v -tx1; exec 3>&-"
    answer = bytes.fromhex("".join((await lab.shell(name, asked)).output.split()))
    assert len(answer) >= 10, answer
    assert not must or answer[6:10] == bytes(4), answer.hex()
    return answer
