"""The index on disk: restarts, crashes, damage, and several processes at one folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embeddings import HashingEncoder, IndexUnavailable, Item, Retriever
from embeddings.folder import IndexFolder

ROOT = Path(__file__).parents[2]


def item(group: int, version: int = 0) -> Item:
    return Item(f"{group}/{version}", f"第{group}号津贴的申领标准", f"津贴办法{group}", f"g{group}")


def put(retriever: Retriever, *groups: int, version: int = 0) -> None:
    """Apply one item a group; the position is the largest group so far plus one."""
    retriever.apply(
        [item(group, version) for group in groups],
        replaced=[f"g{group}" for group in groups],
        position=max(retriever.position, max(groups) + 1),
    )


def keys(retriever: Retriever) -> set[str]:
    return {hit.key for hit in retriever.search("津贴申领标准", 100)}


@contextmanager
def opened(folder: Path, encoder: HashingEncoder | None = None) -> Iterator[Retriever]:
    retriever = Retriever.open(encoder or HashingEncoder(16), folder)
    try:
        yield retriever
    finally:
        retriever.close()


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of three segments, in which one group was replaced."""
    folder = tmp_path_factory.mktemp("prepared") / "index"
    with opened(folder) as retriever:
        put(retriever, 0, 1, 2)
        put(retriever, 3)
        put(retriever, 1, version=1)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared index, to be harmed."""
    return Path(shutil.copytree(prepared, tmp_path / "index"))


EXPECTED = {"0/0", "1/1", "2/0", "3/0"}


def test_an_index_is_the_same_after_a_restart(folder: Path) -> None:
    with opened(folder) as retriever:
        before = retriever.search("第1号津贴", 100)
        assert keys(retriever) == EXPECTED
        assert (len(retriever), retriever.position, retriever.owner) == (4, 4, True)
    with opened(folder) as retriever:
        assert retriever.search("第1号津贴", 100) == before


def test_a_merged_index_is_the_same_after_a_restart(folder: Path) -> None:
    with opened(folder) as retriever:
        assert retriever.merge()
        assert len(segments(folder)) == 1
        before = retriever.search("第1号津贴", 100)
    with opened(folder) as retriever:
        assert retriever.search("第1号津贴", 100) == before
        assert keys(retriever) == EXPECTED


def test_what_is_cleared_is_cleared_on_disk(folder: Path) -> None:
    with opened(folder) as retriever:
        retriever.clear()
        assert segments(folder) == []
    with opened(folder) as retriever:
        assert (len(retriever), retriever.position) == (0, 0)


def test_a_segment_of_dead_groups_leaves_the_disk(folder: Path) -> None:
    with opened(folder) as retriever:
        retriever.apply([], replaced=["g3"], position=5)
        assert len(segments(folder)) == 2
    with opened(folder) as retriever:
        assert keys(retriever) == EXPECTED - {"3/0"}


def test_a_crash_before_the_last_write_leaves_the_old_state(folder: Path) -> None:
    (folder / "CURRENT.new").write_text('{"format": 2, "segm', encoding="utf-8")
    orphan = folder / "segment-0123"
    shutil.copytree(segments(folder)[0], orphan)
    (folder / "segment-4567").mkdir()
    with opened(folder) as retriever:
        assert keys(retriever) == EXPECTED
        put(retriever, 4)
        assert len(segments(folder)) == 4
        assert not orphan.exists()
        assert not (folder / "CURRENT.new").exists()
    with opened(folder) as retriever:
        assert keys(retriever) == EXPECTED | {"4/0"}


def test_a_killed_process_leaves_what_it_had_applied(tmp_path: Path) -> None:
    code = """
import sys, threading
from pathlib import Path
from embeddings import HashingEncoder, Retriever
from tests.embeddings.test_folder import put
retriever = Retriever.open(HashingEncoder(16), Path(sys.argv[1]))
def merge():
    while True:
        retriever.merge()
threading.Thread(target=merge, daemon=True).start()
for number in range(100_000):
    put(retriever, number)
    print(number, flush=True)
"""
    folder = tmp_path / "index"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        done = next(int(line) for line in writer.stdout if int(line) >= 15)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with opened(folder) as retriever:
        assert retriever.owner
        assert retriever.position >= done + 1
        assert keys(retriever) == {f"{number}/0" for number in range(retriever.position)}


@pytest.mark.parametrize(
    "name",
    ["vectors", "group_of", "passage_of", "wordings", "passages.0.positions", "documents.1.starts"],
)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.95])
def test_a_file_cut_short_is_reported_and_the_index_starts_empty(
    folder: Path, caplog: pytest.LogCaptureFixture, name: str, keep: float
) -> None:
    file = segments(folder)[0] / f"{name}.npy"
    os.truncate(file, int(file.stat().st_size * keep))
    with opened(folder) as retriever:
        assert (len(retriever), retriever.position) == (0, 0)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        put(retriever, 7)
    with opened(folder) as retriever:
        assert keys(retriever) == {"7/0"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("CURRENT", ""),
        ("CURRENT", '{"format": 2, "fing'),
        ("CURRENT", "[]"),
        ("CURRENT", "null"),
        ("CURRENT", '{"format": 2, "fingerprint": "hashing-16-1", "position": 1, "segments": [1]}'),
        ("names.json", ""),
        ("names.json", "[]"),
        ("names.json", "null"),
        ("names.json", '{"keys": [], "groups": []}'),
    ],
)
def test_a_damaged_description_is_reported_and_the_index_starts_empty(
    folder: Path, caplog: pytest.LogCaptureFixture, name: str, content: str
) -> None:
    place = folder if name == "CURRENT" else segments(folder)[0]
    (place / name).write_text(content, encoding="utf-8")
    with opened(folder) as retriever:
        assert (len(retriever), retriever.position) == (0, 0)
        assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_bytes_that_are_no_text_are_damage(folder: Path) -> None:
    (folder / "CURRENT").write_bytes(b"\xff\xfe\x00")
    with opened(folder) as retriever:
        assert len(retriever) == 0


def test_a_missing_segment_is_damage(folder: Path) -> None:
    shutil.rmtree(segments(folder)[0])
    held = IndexFolder(folder, HashingEncoder(16).fingerprint)
    with pytest.raises(IndexUnavailable, match="不完整"):
        held.load()
    held.close()


def test_arrays_that_do_not_fit_each_other_are_damage(folder: Path) -> None:
    held = IndexFolder(folder, HashingEncoder(16).fingerprint)
    sizes = {
        len(json.loads((each / "names.json").read_text())["keys"]): each
        for each in segments(folder)
    }
    large, small = sizes[3], sizes[1]
    shutil.copy(large / "passages.0.positions.npy", small / "passages.0.positions.npy")
    with pytest.raises(IndexUnavailable, match="互相不符"):
        held.load()
    held.close()


def test_another_encoder_starts_empty_and_replaces_the_index(folder: Path) -> None:
    with opened(folder, HashingEncoder(32)) as retriever:
        assert (len(retriever), retriever.position) == (0, 0)
        put(retriever, 9)
        assert len(segments(folder)) == 1
    with opened(folder, HashingEncoder(32)) as retriever:
        assert keys(retriever) == {"9/0"}


def test_a_second_process_reads_but_does_not_write(folder: Path) -> None:
    code = """
import sys
from pathlib import Path
from embeddings import HashingEncoder, Retriever
from tests.embeddings.test_folder import keys, put
retriever = Retriever.open(HashingEncoder(16), Path(sys.argv[1]))
print(retriever.owner, sorted(keys(retriever)))
put(retriever, 8)
retriever.merge()
print(retriever.owner, sorted(keys(retriever)))
retriever.clear()
"""
    command = [sys.executable, "-c", code, str(folder)]
    with opened(folder) as retriever:
        held = (folder / "CURRENT").read_bytes()
        names = segments(folder)
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        first, second = ran.stdout.splitlines()
        assert first == f"False {sorted(EXPECTED)}"
        assert second == f"False {sorted(EXPECTED | {'8/0'})}"
        assert (folder / "CURRENT").read_bytes() == held
        assert segments(folder) == names
        assert keys(retriever) == EXPECTED
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("True")


def test_after_close_nothing_is_written(folder: Path) -> None:
    with opened(folder) as first:
        first.close()
        with opened(folder) as second:
            assert second.owner
            put(first, 8)
            assert not first.owner
            assert keys(first) == EXPECTED | {"8/0"}
            assert keys(second) == EXPECTED
            assert len(segments(folder)) == 3


def test_changes_during_a_merge_do_not_delete_its_work(folder: Path) -> None:
    done = threading.Event()
    failures: list[BaseException] = []
    with opened(folder) as retriever:

        def merge() -> None:
            try:
                while not done.is_set():
                    retriever.merge()
            except BaseException as error:
                failures.append(error)

        merger = threading.Thread(target=merge)
        merger.start()
        for number in range(24):
            put(retriever, number % 8, version=100 + number)
        done.set()
        merger.join()
        assert failures == []
        expected = {f"{number % 8}/{100 + number}" for number in range(16, 24)}
        assert keys(retriever) == expected
    with opened(folder) as retriever:
        assert keys(retriever) == expected


def test_a_reader_that_opens_during_changes_sees_one_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, done = tmp_path / "index", threading.Event()
    with opened(folder) as owner:
        put(owner, *range(5))

        def write() -> None:
            for version in range(1, 20):
                put(owner, *range(5), version=version)
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            with opened(folder) as reader:
                found = keys(reader)
                assert len(found) == 5
                assert len({key.partition("/")[2] for key in found}) == 1
        writer.join()
    assert caplog.records == []
