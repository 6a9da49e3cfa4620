from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tui.backup.errors import BackupError
from tui.backup.plan import InvalidPlanError
from tui.backup.restore.files import can_be_undone, make_folder, put_in, remove_folder, remove_partials, take_back
from tui.backup.restore.plan import (
    Change,
    ChangeKind,
    RestoredFile,
    RestorePlan,
    RestoreWay,
    aside_of,
    partial_of,
    read_change,
    read_restore_plan,
    undone_of,
)

RUN = "0123abcd"
UUID = "0f7ab5a4-9a3c-4a35-8d0a-6b7c4a5b2c11"


def a_file(folder: Path, *, former: bool = True, name: str = "vda") -> RestoredFile:
    to = str(folder / f"{name}.raw")
    aside = aside_of(to, RUN) if former else ""
    return RestoredFile(name, f"disks/{name}.raw", "0" * 64, to, partial_of(to, RUN), aside=aside)


def a_plan(folder: Path, *files: RestoredFile, way: RestoreWay = RestoreWay.IN_PLACE) -> RestorePlan:
    return RestorePlan(
        RUN, "20261122T214300Z", "here", "qemu:///system", way, "/backups/1", "web 1", "web 1", UUID, files
    )


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def begun(folder: Path, *, former: bool = True) -> RestoredFile:
    """A file whose copy is whole, with or without a former one in its place."""
    file = a_file(folder, former=former)
    if former:
        Path(file.to).write_text("former")
    Path(file.partial).write_text("copy")
    return file


@pytest.mark.parametrize("former", [True, False])
def test_a_copy_gets_its_name_and_the_former_file_another_one(tmp_path: Path, former: bool) -> None:
    file = begun(tmp_path, former=former)
    for _ in range(2):
        put_in(file)
        assert contents(tmp_path) == {"vda.raw": "copy"} | ({Path(file.aside).name: "former"} if former else {})


@pytest.mark.parametrize("former", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_taking_back_restores_what_was_there_from_any_point(tmp_path: Path, former: bool, keep: bool) -> None:
    before = {"vda.raw": "former"} if former else {}
    for reached in range(3):
        folder = tmp_path / str(reached)
        folder.mkdir()
        file = begun(folder, former=former)
        if reached == 1 and former:
            Path(file.to).rename(file.aside)
        if reached == 2:
            put_in(file)
        for _ in range(2):
            take_back(file, RUN, keep=keep)
            remove_partials([file])
            kept = {Path(undone_of(file.to, RUN)).name: "copy"} if keep and reached == 2 else {}
            assert contents(folder) == before | kept


@pytest.mark.parametrize("step", range(3))
def test_taking_back_that_died_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    file = begun(tmp_path)
    put_in(file)
    original, done = Path.rename, iter(range(10))

    def dying(path: Path, target: Path | str) -> Path:
        if next(done) == step:
            raise OSError(5, "a test ended it here")
        return original(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying)
        try:
            take_back(file, RUN, keep=False)
        except OSError:
            assert "former" in contents(tmp_path).values()
    take_back(file, RUN, keep=False)
    remove_partials([file])
    assert contents(tmp_path) == {"vda.raw": "former"}


def aside_is_taken(file: RestoredFile) -> None:
    Path(file.aside).write_text("mine")


def former_is_gone(file: RestoredFile) -> None:
    Path(file.to).unlink()


def copy_is_gone(file: RestoredFile) -> None:
    Path(file.partial).unlink()


@pytest.mark.parametrize("change", [aside_is_taken, former_is_gone, copy_is_gone])
def test_what_somebody_changed_meanwhile_is_not_overwritten(
    tmp_path: Path, change: Callable[[RestoredFile], None]
) -> None:
    file = begun(tmp_path)
    change(file)
    before = contents(tmp_path)
    with pytest.raises(BackupError):
        put_in(file)
    assert contents(tmp_path) == before
    take_back(file, RUN, keep=False)
    assert contents(tmp_path) == before


def test_a_file_that_came_into_being_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = begun(tmp_path, former=False)
    Path(file.to).write_text("mine")
    with pytest.raises(BackupError, match="changed"):
        put_in(file)
    take_back(file, RUN, keep=False)
    remove_partials([file])
    assert contents(tmp_path) == {"vda.raw": "mine"}


def test_a_clones_folder_goes_only_when_it_is_empty(tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    file = a_file(folder, former=False)
    plan = replace(a_plan(folder, file, way=RestoreWay.CLONE), own_folder=str(folder))
    make_folder(plan)
    assert folder.stat().st_mode & 0o777 == 0o711
    (folder / "mine").touch()
    remove_folder(plan)
    assert folder.exists()
    (folder / "mine").unlink()
    remove_folder(plan)
    remove_folder(plan)
    assert not folder.exists()


def test_what_was_moved_aside_can_be_undone_as_long_as_it_is_there(tmp_path: Path) -> None:
    file = begun(tmp_path)
    plan = a_plan(tmp_path, file)
    put_in(file)
    assert can_be_undone(plan)
    Path(file.aside).unlink()
    assert not can_be_undone(plan)


def test_a_plan_survives_its_trip_through_json(tmp_path: Path) -> None:
    changes = (Change(ChangeKind.NETWORK, "default", "lan"), Change(ChangeKind.EJECT, "sda"))
    plan = replace(a_plan(tmp_path, a_file(tmp_path), a_file(tmp_path, name="nvram")), changes=changes)
    assert read_restore_plan(plan.to_json()) == plan
    assert [file.name for file in plan.disks] == ["vda"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"partial": "/etc/passwd"},
        {"aside": "/etc/passwd"},
        {"to": "/a/../b", "partial": partial_of("/a/../b", RUN)},
        {"sha256": "x"},
        {"name": "vda; reboot"},
    ],
)
def test_a_plan_that_names_foreign_files_is_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    plan = a_plan(tmp_path, replace(a_file(tmp_path), **wrong))  # type: ignore[arg-type]
    with pytest.raises(InvalidPlanError):
        read_restore_plan(plan.to_json())


def test_only_a_guests_own_images_are_moved_aside(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, a_file(tmp_path), way=RestoreWay.CLONE)
    with pytest.raises(InvalidPlanError, match="aside"):
        read_restore_plan(plan.to_json())
    outside = replace(a_plan(tmp_path, a_file(tmp_path, former=False), way=RestoreWay.CLONE), own_folder="/elsewhere")
    with pytest.raises(InvalidPlanError, match="outside"):
        read_restore_plan(outside.to_json())


@pytest.mark.parametrize("word", ["network:default=lan", "eject:sda", "machine=q35", "pool:vdb=/images/a=b.raw"])
def test_a_change_is_typed_as_it_is_told(word: str) -> None:
    assert read_change(word).word == word
