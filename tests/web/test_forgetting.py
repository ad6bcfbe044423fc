"""A server erases people: gone from answers at once, from the disk in the end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import httpx
import pytest

from tests.server import PATIENCE_S, Server, patiently, tallymark, wait_until

OPTIONS = ("--archive", "--snapshot-interval-s", "1000000")


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "tallymark.toml"
    path.write_text("archive_grace_s = 1\n")
    return str(path)


@pytest.fixture
def server(tmp_path: Path, settings: str) -> Iterator[Server]:
    with Server(tmp_path / "data", *OPTIONS, "--config", settings) as server:
        yield server


def view(user: str, **fields: Any) -> dict[str, Any]:
    return {"eventType": "marketplace_view", "serviceId": "s", "userId": user, **fields}


def send(server: Server, *told: dict[str, Any]) -> None:
    server.client.post("/track/batch", json=list(told)).raise_for_status()


def users_in(server: Server) -> dict[str, int]:
    """{user: rows} of what SQL sees."""
    sql = "SELECT blob3, count() AS n FROM events GROUP BY blob3"
    answer = patiently(lambda: server.client.post("/sql?fresh=1", content=sql))
    found = answer.raise_for_status().json()["data"]
    return {row["blob3"]: int(row["n"]) for row in found}


def erase(server: Server, user: str) -> dict[str, Any]:
    answer = server.client.delete(f"/users/{quote(user, safe='')}")
    assert answer.status_code == 202
    data: dict[str, Any] = answer.json()["data"]
    return data


def progress(server: Server, user: str) -> dict[str, Any]:
    answer = server.client.get(f"/users/{quote(user, safe='')}").raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data


def wait_until_erased(server: Server, user: str) -> None:
    """Erase somebody, and return when that, and all that was asked for before, is done."""
    done = tallymark("forget", user, "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("erased: archive, journal and snapshots hold nothing of it\n")


def files_with(data: Path, text: str) -> list[str]:
    """Every file of the data folder in which a text stands, packed or not."""
    found = []
    for path in sorted(data.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            rows = duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(path)])
            content += repr(rows.fetchall()).encode()
        if text.encode() in content:
            found.append(str(path.relative_to(data)))
    return found


def test_a_person_is_gone_from_every_answer_when_the_request_is_answered(
    server: Server,
) -> None:
    for _ in range(3):
        send(server, view("anna"), view("ben"))
    trial = {"eventType": "experiment_view", "experimentId": "e", "variantIndex": 0}
    send(server, {**trial, "userId": "anna"}, {**trial, "userId": "ben"})
    assert users_in(server) == {"anna": 4, "ben": 4}
    told = erase(server, "anna")
    assert (told["state"], told["steps"]["answers"]) == ("erasing", True)
    assert users_in(server) == {"ben": 4}
    get = server.client.get
    assert get("/metrics/users").json()["data"]["dau"] == 1
    (experiment,) = get("/metrics/experiments").json()["data"]
    assert [v["units"] for v in experiment["variants"]] == [1]
    assert [v["views"] for v in experiment["variants"]] == [2]  # what was counted stays
    assert get("/counters/activeUsers:5m").json()["data"]["value"] == 1
    assert get("/export/events?format=ndjson&userId=anna").text == ""
    assert get("/export/events?format=ndjson").text.count("ben") == 4


def test_reports_that_may_name_the_person_are_gone_and_later_ones_do_not(
    server: Server,
) -> None:
    send(server, view("anna"), view("ben"))
    users_in(server)
    post, get = server.client.post, server.client.get

    def report() -> str:
        asked = post("/exports", json={"family": "events", "format": "ndjson"})
        key: str = asked.raise_for_status().json()["id"]
        wait_until(lambda: get(f"/exports/{key}").json()["finishedAt"] is not None)
        return key

    before = report()
    assert "anna" in get(f"/exports/{before}/file").text
    erase(server, "anna")
    assert get(f"/exports/{before}").status_code == 404
    after = get(f"/exports/{report()}/file").text
    assert "ben" in after
    assert "anna" not in after


def test_in_the_end_no_file_holds_the_id_and_later_events_are_new(server: Server) -> None:
    send(server, view("anna-of-green-gables"), view("ben"))
    send(server, {"eventType": "marketplace_search", "searchQuery": "x", "userId": "anna-of-g"})
    users_in(server)
    assert files_with(server.data, "anna-of-green-gables") != []
    wait_until_erased(server, "anna-of-green-gables")
    assert files_with(server.data, "anna-of-green-gables") == []
    assert progress(server, "anna-of-green-gables")["state"] == "erased"
    send(server, view("anna-of-green-gables"))
    assert users_in(server) == {"anna-of-green-gables": 1, "ben": 1, "anna-of-g": 1}
    assert server.client.get("/metrics/users").json()["data"]["dau"] == 3
    assert server.stop() == 0
    assert not any("green-gables" in str(line) for line in server.log)


def test_a_server_that_is_killed_goes_on_hiding_and_finishes(server: Server) -> None:
    send(server, view("anna"), view("ben"))
    users_in(server)
    erase(server, "anna")
    server.kill()
    folder = tallymark("sql", "--data", str(server.data), "SELECT DISTINCT blob3 FROM events")
    assert "ben" in folder.stdout
    assert "anna" not in folder.stdout
    server.start()
    assert users_in(server) == {"ben": 1}
    assert server.client.get("/metrics/users").json()["data"]["dau"] == 1
    wait_until_erased(server, "nobody")
    assert progress(server, "anna")["state"] == "erased"
    assert files_with(server.data, '"anna"') == []
    server.kill()
    server.start()
    assert progress(server, "anna")["state"] == "erased"
    assert users_in(server) == {"ben": 1}


def test_any_id_can_be_erased(server: Server) -> None:
    ids = ["a/b", "a//b", "/a", "//", "a/", "a b?c#d", "größe", "it's", "😀", "%2F"]
    ids += ["a\nb", "\nb", "a\n", "a\r\nb", "a\0b"]
    for user in ids:
        send(server, view(user), view("ben"))
    for user in ids:
        erase(server, user)
        assert progress(server, user)["steps"]["answers"]
    dots = tallymark("forget", "..", "--url", server.url, "--no-wait")  # no browser sends it
    assert dots.stdout.startswith("number ")
    assert users_in(server) == {"ben": len(ids)}


def test_who_was_never_erased_is_not_found_and_what_is_no_id_is_refused(server: Server) -> None:
    assert server.client.get("/users/anna").status_code == 404
    refused = server.client.delete("/users/" + "x" * 257)
    assert refused.status_code == 422
    assert "257 bytes" in refused.json()["detail"]
    assert server.client.delete("/users/anna?now=1").status_code == 422


def test_the_command_erases_from_a_folder_without_a_server(server: Server) -> None:
    send(server, view("anna-of-green-gables"), view("ben"))
    users_in(server)
    in_use = tallymark("forget", "anna-of-green-gables", "--data", str(server.data))
    assert in_use.returncode == 1
    assert "in use" in in_use.stderr
    assert server.stop() == 0
    done = tallymark("forget", "anna-of-green-gables", "--data", str(server.data))
    assert done.returncode == 0, done.stderr
    assert files_with(server.data, "anna-of-green-gables") == []
    server.start()
    assert users_in(server) == {"ben": 1}


def test_a_damaged_file_holds_up_nothing_else_and_a_rebuild_completes_the_erasure(
    server: Server,
) -> None:
    send(server, view("anna-of-green-gables"), view("ben"))
    users_in(server)
    (damaged,) = server.data.glob("archive/*/*.parquet")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    name = str(damaged.relative_to(server.data / "archive"))
    user = "anna-of-green-gables"
    told = tallymark("forget", user, "--url", server.url)
    assert told.returncode == 1
    assert name in told.stderr
    found = progress(server, user)
    assert found["state"] == "erasing"
    assert found["steps"] == {
        "answers": True,
        "archive": False,
        "journal": True,
        "snapshots": True,
    }
    assert [one["name"] for one in found["unreadable"]] == [name]
    send(server, view("cleo"))
    patiently(lambda: server.client.post("/sql?fresh=1", content="SELECT 1 AS n FROM events"))
    assert server.client.get("/health").json()["archive"]["restarts"] == 0
    assert server.client.get("/health").json()["archive"]["lag"] == 0
    assert server.stop() == 0
    said = [line for line in server.log if line.get("event") == "archive file failed"]
    assert [line["file"] for line in said] == [name]
    folder = tallymark("forget", "ben", "--data", str(server.data))
    assert folder.returncode == 1
    assert name in folder.stderr
    rebuilt = tallymark("archive", str(server.data), "--rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    server.start()
    wait_until_erased(server, "nobody")
    assert progress(server, user)["state"] == "erased"
    assert progress(server, user)["unreadable"] == []
    assert users_in(server) == {"cleo": 1}
    assert files_with(server.data, user) == [f"archive/{name}.damaged"]


def test_the_command_makes_no_data_folder_of_any_folder(tmp_path: Path) -> None:
    refused = tallymark("forget", "anna", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "not a data folder" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_start_without_the_key_is_refused_while_somebody_is_being_erased(
    server: Server,
) -> None:
    send(server, view("anna"))
    erase(server, "anna")
    server.kill()
    key = server.data / "secret.key"
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_bytes()
    key.unlink()
    refused = tallymark("serve", "--data", str(server.data), "--port", "0")
    assert refused.returncode == 1
    assert "secret.key" in refused.stderr
    key.write_bytes(kept)
    key.chmod(0o640)
    refused = tallymark("serve", "--data", str(server.data), "--port", "0")
    assert "chmod 600" in refused.stderr
    key.chmod(0o600)
    server.start()
    assert users_in(server) == {}


def test_with_pseudonyms_no_plain_id_is_kept_and_a_plain_id_can_be_erased(
    tmp_path: Path, settings: str
) -> None:
    with Server(tmp_path / "data", *OPTIONS, "--config", settings, "--pseudonymise") as server:
        user = "anna-of-green-gables"
        send(server, view(user, sessionId="summer-of-1908", email="anna@avonlea.example"))
        send(server, view(user), view("ben"))
        bulk = json.dumps(view(user))
        server.client.post("/track/bulk", content=bulk).raise_for_status()
        found = users_in(server)
        assert sorted(found.values()) == [1, 3]
        for text in (user, "summer-of-1908", "avonlea"):
            assert files_with(server.data, text) == []
        assert server.client.get("/metrics/users").json()["data"]["dau"] == 2
        server.kill()
        server.start()
        assert users_in(server) == found
        wait_until_erased(server, user)
        assert list(users_in(server).values()) == [1]
        assert server.client.get("/metrics/users").json()["data"]["dau"] == 1


def test_no_address_is_stored_or_logged(server: Server) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.73")
    headers = {"X-Forwarded-For": "203.0.113.77", "Forwarded": "for=203.0.113.78"}
    with httpx.Client(
        base_url=server.url, transport=transport, headers=headers, timeout=PATIENCE_S
    ) as client:
        client.post("/track/batch", json=[view("ben")]).raise_for_status()
        assert client.post("/track", content=b"{").status_code == 400
        assert client.get("/metrics/users").status_code == 200
        assert client.get("/nowhere").status_code == 404
    users_in(server)
    assert server.stop() == 0
    for address in ("127.0.0.73", "203.0.113.77", "203.0.113.78"):
        assert files_with(server.data, address) == []
        assert not any(address in str(line) for line in server.log)
