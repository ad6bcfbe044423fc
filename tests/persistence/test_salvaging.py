import json

import pytest

from engine.errors import Corruption, TallymarkError
from persistence.recovery import recover
from persistence.salvaging import NothingToSalvage, salvage
from persistence.soundness import damages
from tests.living import NOW_MS, batch, config_of, living, view, views
from tests.server import tallymark

SERVICES = [f"s{number}" for number in range(25)]


@pytest.fixture
async def config(tmp_path):
    """Of 300 views the snapshots cover 200 and 300, and the journal goes on from 201."""
    config = config_of(tmp_path, segment_bytes_max=4_096)
    async with living(config) as life:
        for _ in range(3):
            for _ in range(4):
                await life.engine.accept(batch(*map(view, SERVICES)))
            await life.engine.checkpoint()
        assert life.recovered.journal.first_seq == 201
    return config


def salvaged(config, **options):
    return salvage(config.data, **{"timezone": None, "now_ms": NOW_MS, **options})


def parts(config, pattern):
    return sorted((config.data / "snapshots").glob(pattern))


async def test_what_is_whole_is_kept_and_what_is_lost_is_named(config):
    parts(config, "*-shard-1.*.full")[0].unlink()
    with pytest.raises(Corruption, match="shard-1"):
        recover(config)
    found = salvaged(config)
    assert (found.seq, found.whole) == (300, ("sequence", "shard-0"))
    [lost] = found.lost
    assert (lost.source, lost.kept_seq) == ("shard-1", 0)
    assert "No such file" in lost.reason
    assert list(damages(config.data)) == []
    async with living(config) as life:
        left = await views(life.engine)
        assert 0 < left < 300
        assert life.engine.health().events == 300
        await life.engine.accept(batch(*map(view, SERVICES)))
    async with living(config) as life:
        assert await views(life.engine) == left + 25


async def test_of_a_source_with_a_bad_delta_the_parts_before_it_are_kept(config):
    first, second, *_ = parts(config, "*-shard-0.*.delta")
    for path in (first, second):
        path.write_bytes(b"")
    found = salvaged(config)
    assert [(lost.source, lost.kept_seq) for lost in found.lost] == [("shard-0", 100)]
    async with living(config) as life:
        assert 100 < await views(life.engine) < 300


async def test_without_any_manifest_the_journal_is_what_is_left(config):
    for path in parts(config, "*.manifest"):
        path.write_bytes(b"")
    with pytest.raises(TallymarkError, match="--timezone"):
        salvaged(config)
    found = salvaged(config, timezone=config.timezone)
    assert (found.seq, found.whole) == (200, ())
    async with living(config) as life:
        assert await views(life.engine) == life.engine.health().events == 100


async def test_where_a_start_loses_nothing_nothing_is_done(config):
    before = {path: path.read_bytes() for path in parts(config, "*")}
    with pytest.raises(NothingToSalvage):
        salvaged(config)
    assert {path: path.read_bytes() for path in parts(config, "*")} == before


async def test_the_command_says_what_is_lost(config):
    parts(config, "*-sequence.*.full")[0].unlink()
    told = tallymark("salvage", str(config.data), "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["seq"], found["whole"]) == (300, ["shard-0", "shard-1"])
    assert [(one["source"], one["keptSeq"]) for one in found["lost"]] == [("sequence", 0)]
    again = tallymark("salvage", str(config.data))
    assert again.returncode == 1
    assert "loses nothing" in again.stderr
