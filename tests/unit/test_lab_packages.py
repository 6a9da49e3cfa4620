from tui.lab.packages import libraries_of, parse_depends, parse_print_uris

LISTING = """\
qemu-guest-agent
  PreDepends: init-system-helpers
  Depends: libc6
 |Depends: libglib2.0-0
  Depends: <virtual-thing>
    provider
init-system-helpers
 |Depends: usrmerge
usrmerge
  Depends: libperl5.36
libc6
  Depends: libgcc-s1
libglib2.0-0
  Depends: zlib1g
  Depends: libc6
libgcc-s1
  Depends: gcc-12-base
  Depends: libc6
zlib1g
<virtual-thing>
"""


def test_needs_are_read_with_alternatives_and_without_virtual_packages() -> None:
    needs = parse_depends(LISTING)
    assert needs["qemu-guest-agent"] == ("init-system-helpers", "libc6", "libglib2.0-0")
    assert needs["zlib1g"] == ()


def test_only_libraries_are_followed_and_circles_end() -> None:
    libraries = libraries_of("qemu-guest-agent", parse_depends(LISTING))
    assert libraries == ("libc6", "libgcc-s1", "libglib2.0-0", "zlib1g")


def test_announced_archives_are_read_and_other_words_of_apt_are_not() -> None:
    text = "Reading lists...\n'http://deb.debian.org/a%3a1.deb' a_1%3a1_amd64.deb 346272 SHA256:0f\n'file:/x' x 1\n"
    assert parse_print_uris(text) == {"a_1%3a1_amd64.deb": 346272}
