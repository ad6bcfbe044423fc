"""Files of the archive go bad: they are named, the rest goes on, and a rebuild mends."""

import shutil
from pathlib import Path
from random import Random

import duckdb
import httpx
import pytest

from persistence.archive import manifest as manifests
from tests.crash.archived import ids_in
from tests.crash.ledger import SETTINGS, Ledger, counted, under_load
from tests.damage import spoil
from tests.server import PATIENCE_S, Server, patiently, tallymark

pytestmark = pytest.mark.crash

ROUNDS = 8
ALL_COLUMNS = "SELECT * FROM events LIMIT 1000000"
COUNT = "SELECT count() AS n FROM events"
PATIENT = SETTINGS + "sql_deadline_s = 240\n"
NEW = {"eventType": "marketplace_view", "serviceId": "s0", "eventId": "after-the-damage"}

Seqs = dict[str, int]


def asked(server: Server, sql: str) -> httpx.Response:
    return patiently(lambda: server.client.post("/sql?fresh=1", content=sql))


def files_of(data: Path) -> list[Path]:
    manifest = manifests.read(data / "archive")
    assert manifest is not None
    return [data / "archive" / file.name for file in manifest.files]


def numbers_in(path: Path) -> Seqs:
    """{event id: number} of a sound file."""
    found = duckdb.connect().execute('SELECT "eventId", seq FROM read_parquet(?)', [str(path)])
    return dict(found.fetchall())


def harm(path: Path, rng: Random) -> str:
    if rng.random() < 0.2:
        path.unlink()
        return f"{path.name}: gone"
    return spoil(path, rng)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few files of rows, and a journal that has been trimmed."""
    folder = tmp_path_factory.mktemp("whole")
    config = folder / "crash.toml"
    config.write_text(PATIENT)
    ledger = Ledger(seed="archive")
    with Server(folder / "data", "--config", str(config), "--archive") as server:
        for _ in range(2):
            with under_load(server, ledger):
                for _ in range(4):
                    ledger.wait_for_more()
                assert server.stop() == 0
            server.start()
        assert server.stop() == 0
    return folder / "data"


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_damaged_file_costs_the_questions_that_need_it_and_a_rebuild_tells_the_loss(
    whole: Path, tmp_path: Path, number: int
) -> None:
    rng, settings = Random(number), tmp_path / "crash.toml"
    settings.write_text(PATIENT)
    data = Path(shutil.copytree(whole, tmp_path / "data"))
    path = rng.choice(files_of(data))
    in_it, sound = numbers_in(path), ids_in(data)
    what = harm(path, rng)

    verified = tallymark("verify", str(data), patience_s=PATIENCE_S)
    assert verified.returncode == 3, what
    assert str(path) in verified.stderr, what

    with Server(data, "--config", str(settings), "--archive") as server:
        before = counted(server)
        refused = asked(server, ALL_COLUMNS)
        if refused.status_code == 200:  # a value went bad, which `verify` alone knows
            assert "a bit at" in what
        else:
            assert refused.status_code == 503, what
            detail = refused.json()["detail"]
            assert f"{path.parent.name}/{path.name}" in detail, what
            assert str(data) not in detail
        server.client.post("/track", json=NEW).raise_for_status()
        assert counted(server).total() == before.total() + 1
        assert server.client.get("/ready").status_code == 200
        assert server.stop() == 0, what

    rebuilt = tallymark("archive", str(data), "--rebuild", patience_s=PATIENCE_S)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert str(path) in rebuilt.stderr
    left = ids_in(data)
    missing = (sound + type(sound)([NEW["eventId"]])) - left
    assert not left - sound - type(sound)([NEW["eventId"]])
    assert set(missing) <= set(in_it), what
    assert bool(missing) == ("lost" in rebuilt.stderr), (what, rebuilt.stderr)
    checked = tallymark("archive", str(data), "--check", patience_s=PATIENCE_S)
    assert checked.returncode == 0, checked.stderr
    assert tallymark("verify", str(data), patience_s=PATIENCE_S).returncode == 0
    with Server(data, "--config", str(settings), "--archive") as server:
        assert asked(server, COUNT).json()["data"] == [{"n": left.total()}]
