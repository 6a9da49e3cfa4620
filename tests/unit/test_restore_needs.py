"""What a saved definition needs of its host."""

from pathlib import Path

from tui.backup.restore.circumstances import missing_boot_files
from tui.backup.restore.needs import needs_of


def test_a_kernel_beside_the_disks_that_is_missing_is_told(tmp_path: Path) -> None:
    there, missing = tmp_path / "initrd", tmp_path / "vmlinuz"
    there.touch()
    needs = needs_of(
        f"<domain type='kvm'><os><type>hvm</type><kernel> {missing} </kernel><initrd>{there}</initrd></os></domain>"
    )
    assert needs.boot_files == (str(missing), str(there))
    (misfit,) = missing_boot_files(needs)
    assert misfit.title == "Kernel"
    assert str(missing) in misfit.evidence
    assert misfit.change is None


def test_a_guest_that_starts_from_its_disks_needs_no_kernel() -> None:
    assert needs_of("<domain type='kvm'><os><type>hvm</type></os></domain>").boot_files == ()
