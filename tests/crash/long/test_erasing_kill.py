"""Killed while somebody is erased: it is finished all the same, and others stay."""

import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.crash.archived import ids_in, kill_archive
from tests.server import PATIENCE_S, Server, tallymark
from tests.web.test_forgetting import (
    files_with,
    progress,
    send,
    users_in,
    view,
    wait_until_erased,
)

pytestmark = pytest.mark.crash

ROUNDS = 6
USERS = 12
EVENTS = 40
"""Of each user, in batches of all users, so that every file holds rows of everybody."""

SETTINGS = """
archive_grace_s = 0
snapshot_interval_s = 1
segment_bytes_max = 65_536
body_bytes_max = 65_536
group_bytes_max = 65_536
batch_events_max = 100
"""


def name_of(number: int) -> str:
    return f"somebody-called-{number:03d}"


def fill(server: Server, turn: int) -> Counter[str]:
    """Events of everybody; the ids of those events."""
    sent = Counter[str]()
    for number in range(EVENTS // 4):
        batch = [
            view(name_of(user), eventId=f"{name_of(user)}/{turn}/{number}/{copy}")
            for user in range(USERS)
            for copy in range(4)
        ]
        send(server, *batch)
        sent.update(str(one["eventId"]) for one in batch)
    return sent


def ask_to_erase(server: Server, user: str, told: list[int]) -> None:
    """Erase somebody; the status, where an answer comes."""
    try:
        with httpx.Client(base_url=server.url, timeout=PATIENCE_S, trust_env=False) as client:
            told.append(client.delete(f"/users/{user}").status_code)
    except httpx.TransportError:
        return


def without(sent: Counter[str], user: str) -> Counter[str]:
    return Counter({name: n for name, n in sent.items() if not name.startswith(user)})


@pytest.mark.parametrize("number", range(ROUNDS))
def test_who_is_erased_is_gone_whoever_is_killed_and_nobody_else(
    tmp_path: Path, number: int
) -> None:
    rng, user = Random(number), name_of(number % USERS)
    config = tmp_path / "erase.toml"
    config.write_text(SETTINGS)
    data = tmp_path / "data"
    with Server(data, "--config", str(config), "--archive") as server:
        sent = fill(server, 0)
        users_in(server)
        server.kill()
        server.start()
        sent += fill(server, 1)
        everybody = {name_of(n): 2 * EVENTS for n in range(USERS)}
        assert users_in(server) == everybody
        told: list[int] = []
        asking = threading.Thread(target=ask_to_erase, args=(server, user, told))
        asking.start()
        if number % 2:  # half of them when it has been answered
            asking.join(PATIENCE_S)
            assert told
        else:  # the others from before it is journalled to after
            time.sleep(rng.random() / 5)
        server.kill()
        asking.join()
        server.start()
        if told:  # it was answered, so no answer tells of the person any more
            assert told == [202]
            assert user not in users_in(server)
        told.clear()
        ask_to_erase(server, user, told)  # once more is no harm
        assert told == [202]
        for _ in range(3):  # while files are written anew, snapshots taken, segments trimmed
            time.sleep(rng.random())
            if rng.random() < 0.5:
                kill_archive(server)
            else:
                server.kill()
                server.start()
            assert user not in users_in(server)
        wait_until_erased(server, "nobody")
        assert progress(server, user)["state"] == "erased"
        del everybody[user]
        assert users_in(server) == everybody
        assert files_with(data, user) == []
        assert server.stop() == 0
    assert ids_in(data) == without(sent, user)
    assert tallymark("verify", str(data), patience_s=PATIENCE_S).returncode == 0
    checked = tallymark("archive", str(data), "--check", patience_s=PATIENCE_S)
    assert checked.returncode == 0, checked.stderr
