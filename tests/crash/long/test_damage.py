"""Bytes of a data folder go bad: the server counts what it did, or refuses and says where."""

import json
import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.crash.ledger import Ledger, by_service, counted, under_load
from tests.damage import spoil
from tests.server import Server, tallymark

pytestmark = pytest.mark.crash

ROUNDS = 40


def refusal_of(data: Path, settings: Path) -> str | None:
    """What a server says that does not start on `data`; None where it starts."""
    verified = tallymark("verify", str(data))
    server = Server(data, "--config", str(settings))
    try:
        server.start()
    except AssertionError:
        assert server.wait() not in (0, 1)
        assert verified.returncode != 0
        last = server.messages[-1]
        assert "Traceback" not in "\n".join(server.messages)
        return last
    else:
        server.kill()
        return None


@pytest.mark.parametrize("ends_by", ["kill", "stop"])
def test_whatever_byte_goes_bad_nothing_is_miscounted_in_silence(
    tmp_path: Path, settings: Path, ends_by: str
) -> None:
    rng, ledger = Random(ends_by), Ledger(seed=ends_by)
    whole = tmp_path / "whole"
    with Server(whole, "--config", str(settings)) as server:
        with under_load(server, ledger):
            while len(list(whole.glob("snapshots/*.manifest"))) < 2:  # however fast it is
                ledger.wait_for_more()
            if ends_by == "stop":
                assert server.stop() == 0
            else:
                server.kill()
        server.start()
        expected = counted(server)
        if ends_by == "stop":
            assert server.stop() == 0
    told = Counter[str]()
    for number in range(ROUNDS):
        data = tmp_path / f"spoilt-{number}"
        shutil.copytree(whole, data)
        files = sorted([*data.glob("journal/*"), *data.glob("snapshots/*")])
        what = spoil(rng.choice(files), rng)
        name = what.partition(":")[0]
        refusal = refusal_of(data, settings)
        if refusal is not None:
            assert name in refusal, (what, refusal)
            told["refused"] += 1
            continue
        with Server(data, "--config", str(settings)) as server:
            found = counted(server)
            if (
                found != expected
            ):  # the last record of a killed process: docs/formats/journal.md
                assert ends_by == "kill", what
                assert found <= by_service(ledger.sent), what
                assert "segment" in name, what
                told["cut"] += 1
            else:
                told["counted"] += 1
        shutil.rmtree(data)
    assert told["refused"]
    assert told["counted"]
    assert told["cut"] <= ROUNDS // 4, json.dumps(told)
