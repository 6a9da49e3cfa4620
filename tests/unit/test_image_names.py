"""What one image is called: slashes, dots, links and the names of a device all come to the same image."""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.backup.image_names import identity_elsewhere, identity_here, is_block_device, known_as, plain, real_path
from tui.backup.plan import ImageFormat, PlannedDisk

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6)
PARTS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=5)
DETOURS = st.lists(st.sampled_from(("/", "//", "/./", "///", "/x/../")), min_size=6, max_size=6)


@given(PARTS, DETOURS)
def test_any_number_of_slashes_and_dots_is_one_path(parts: list[str], detours: list[str]) -> None:
    direct = "/" + "/".join(parts)
    spelled = "".join(detour + part for detour, part in zip(detours, parts, strict=False))
    assert plain(spelled) == direct == posixpath.normpath(direct)
    disk = PlannedDisk("vda", direct, ImageFormat.RAW, "/o", named=spelled if spelled != direct else "")
    assert disk.is_called(spelled)
    assert disk.is_called(direct)
    assert not disk.is_called(f"{direct}x")


@pytest.mark.parametrize("name", ["pool/volume", "rbd/img@snap", "nbd://h/x", "", "a//b"])
def test_what_is_no_path_stays_as_it_is(name: str) -> None:
    assert plain(name) == real_path(name) == name


def test_links_in_folders_and_of_files_lead_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    image = tmp_path / "real/a.raw"
    image.touch()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link").symlink_to(tmp_path / "folder/a.raw")
    for name in ("link", "folder/a.raw", "real//a.raw", "folder/../real/a.raw", "real/./a.raw"):
        found = identity_here(f"{tmp_path}/{name}")
        assert (found.path, found.is_device) == (str(image), False)
        assert known_as((f"{tmp_path}/{name}",), here=True) & known_as((str(image),), here=True)


def test_nothing_of_another_machine_is_looked_up_here(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/elsewhere")
    spelled = f"{tmp_path}//link"
    assert identity_elsewhere(spelled, is_device=False).path == f"{tmp_path}/link"
    assert known_as((spelled,), here=False) == {spelled, f"{tmp_path}/link"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a device")
def test_two_names_of_one_device_are_one_image_and_it_keeps_the_name_that_lasts(tmp_path: Path) -> None:
    os.mknod(tmp_path / "dm-3", stat.S_IFBLK | 0o600, os.makedev(7, 251))
    os.mknod(tmp_path / "other", stat.S_IFBLK | 0o600, os.makedev(7, 252))
    (tmp_path / "vg").mkdir()
    (tmp_path / "vg/lv").symlink_to("../dm-3")
    (tmp_path / "vg-lv").symlink_to("dm-3")
    first, second = f"{tmp_path}/vg//lv", f"{tmp_path}/vg-lv"
    assert is_block_device(first)
    found = identity_here(first)
    assert (found.path, found.is_device) == (f"{tmp_path}/vg/lv", True)
    assert known_as((first,), here=True) & known_as((second,), here=True)
    assert not known_as((first,), here=True) & known_as((f"{tmp_path}/other",), here=True)
