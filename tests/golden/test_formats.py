"""The bytes of each format version: written as drawn in docs/formats/, and readable for good.

The files `*.hex` are never changed: a new version of a format gets a new file beside them.
"""

import re
from pathlib import Path

import pytest

from engine.codec import Dump
from engine.erasure import KEY_BYTES, Erase, Secret, Swept, swept
from engine.events import Body, Kind, replay
from engine.hashing import hash64
from persistence.journal import Journal
from persistence.record import Record
from persistence.snapshot import SnapshotStore

GOLDEN = Path(__file__).parent
FORMATS = GOLDEN.parents[1] / "docs" / "formats"
SEGMENT = "00000000000000000001.segment"
PART = "00000000000000000003-sequence.0.full"
MANIFEST = "00000000000000000003.manifest"
RECORD = Record(
    1,
    1_763_798_400_000,
    (
        Body(Kind.ONE, 1, b'{"eventType":"marketplace_search","searchQuery":""}'),
        Body(Kind.ARRAY, 2, b"[{},{}]"),
    ),
)
LINE = b'{"eventType":"marketplace_search","searchQuery":"%d"}\n'
LARGE = Record(
    1,
    1_763_798_400_000,
    (Body(Kind.LINES, 2, LINE % 1 + LINE % 2), Body(Kind.LINES, 1, LINE.strip() % 3)),
)


def golden(name):
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text())


def drawn(page):
    """The bytes of each ```hex block of a page, without what stands behind the #."""
    blocks = re.findall(r"```hex\n(.*?)```", (FORMATS / page).read_text(), re.DOTALL)
    return [bytes.fromhex(re.sub(r"#.*", "", block)) for block in blocks]


def test_the_journal_is_written_as_ever(tmp_path):
    journal = Journal.open(tmp_path, durability="fsync")
    journal.append(*RECORD)
    journal.close()
    assert (tmp_path / SEGMENT).read_bytes() == golden("journal-v1")


def test_the_first_version_of_the_journal_can_be_read(tmp_path):
    (tmp_path / SEGMENT).write_bytes(golden("journal-v1"))
    journal = Journal.open(tmp_path, durability="fsync")
    assert list(journal.replay(0)) == [RECORD]
    assert journal.cut is None
    journal.close()


def test_a_large_request_is_written_as_ever_and_can_be_read(tmp_path):
    journal = Journal.open(tmp_path, durability="fsync")
    journal.append(*LARGE)
    journal.close()
    assert (tmp_path / SEGMENT).read_bytes() == golden("journal-v1-lines")
    found = [replay(body.kind, body.data) for body in LARGE.bodies]
    texts = [[event.search_query for event in batch.events] for batch in found]
    assert texts == [["1", "2"], ["3"]]
    assert [len(batch.events) for batch in found] == [body.events for body in LARGE.bodies]


def test_a_snapshot_is_written_as_ever(tmp_path):
    store = SnapshotStore(tmp_path)
    store.load_newest()
    store.checkpoint(3, {"zone": "UTC"}, {"sequence": Dump(True, [b"\x93\x01", b"\x02\x03"])})
    assert (tmp_path / PART).read_bytes() == golden("snapshot-part-v2")
    assert (tmp_path / MANIFEST).read_bytes() == golden("snapshot-manifest-v2")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_version_of_a_snapshot_can_be_read(tmp_path, version):
    (tmp_path / PART).write_bytes(golden(f"snapshot-part-{version}"))
    (tmp_path / MANIFEST).write_bytes(golden(f"snapshot-manifest-{version}"))
    loaded = SnapshotStore(tmp_path).load_newest()
    assert (loaded.seq, loaded.meta) == (3, {"zone": "UTC"})
    assert loaded.parts == {"sequence": [b"\x93\x01\x02\x03"]}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("journal.md", ["journal-v1"]),
        ("snapshot.md", ["snapshot-part-v2", "snapshot-manifest-v2"]),
    ],
)
def test_the_examples_in_the_format_pages_are_the_golden_bytes(page, names):
    assert drawn(page) == [golden(name) for name in names]


NOTICES = Secret(bytes(range(KEY_BYTES)))


def test_notices_are_written_as_ever_and_begin_new_segments(tmp_path):
    journal = Journal.open(tmp_path, durability="fsync")
    journal.append(*RECORD)
    journal.append(4, RECORD.received_ms, [Body(Kind.NOTICE, 1, NOTICES.erase("u-1"))])
    journal.seal()
    journal.append(5, RECORD.received_ms, [Body(Kind.NOTICE, 1, swept(4))])
    journal.close()
    first, second = sorted(tmp_path.iterdir())
    assert second.name == "00000000000000000005.segment"
    assert first.read_bytes() + second.read_bytes() == golden("journal-v1-notices")


def test_the_first_version_of_notices_can_be_read(tmp_path):
    data = golden("journal-v1-notices")
    second_at = data.rindex(b"TMJOURN\n")
    (tmp_path / SEGMENT).write_bytes(data[:second_at])
    (tmp_path / "00000000000000000005.segment").write_bytes(data[second_at:])
    journal = Journal.open(tmp_path, durability="fsync")
    events, erased, done = journal.replay(0)
    assert events == RECORD
    assert NOTICES.read(erased.notice) == Erase(NOTICES.name_of("u-1"), hash64("u-1"))
    assert NOTICES.read(done.notice) == Swept(4)
    assert (erased.first_seq, done.first_seq, journal.last_seq) == (4, 5, 5)
    journal.trim(4)
    assert journal.first_seq == 5
    journal.close()
