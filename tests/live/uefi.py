"""UEFI variables of a guest, made and seen from inside."""

from tui.lab.laboratory import Laboratory

VENDOR = "5d1c2f7e-5b0e-4c7e-9c7b-3f2f0d6a1b11"


async def set_variable(lab: Laboratory, name: str, variable: str) -> None:
    """Make a UEFI variable; the first four of its bytes are its attributes (UEFI 2.10, section 8.2)."""
    path = f"/sys/firmware/efi/efivars/{variable}-{VENDOR}"
    made = await lab.shell(name, f"printf '\\7\\0\\0\\0x' >{path}")
    assert made.code == 0, made.output


async def variables(lab: Laboratory, name: str) -> set[str]:
    """The variables that `set_variable` made in the guest, or in the one it was copied from."""
    files = (await lab.shell(name, "ls /sys/firmware/efi/efivars")).output.split()
    return {file.removesuffix(f"-{VENDOR}") for file in files if file.endswith(VENDOR)}
