"""`tallymark keys` beside a server: it goes by each change before the command has returned."""

import os
import subprocess
from pathlib import Path

import pytest

from persistence.keys import ROLES, Role, new_key
from tests.keys import keys, listed, made
from tests.server import Server, environment, tallymark
from tests.web.test_main import EVENT


def status(server: Server, key: str | None, path: str = "/counters") -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return server.client.get(path, headers=headers).status_code


def test_keys_are_made_listed_used_and_revoked_beside_a_running_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        assert status(server, None) == 200, "there are no keys yet"
        read = made(data, "read")
        assert [status(server, None), status(server, read)] == [401, 200]
        admin = made(data, "admin")
        assert status(server, admin, "/load/runs") == 404
        (first, second) = listed(data)
        assert (first["role"], first["label"], first["used"]) == ("read", "of read", None)
        done = keys("revoke", first["id"], data=data)
        assert (done.returncode, done.stdout) == (0, "")
        assert [status(server, read), status(server, admin)] == [401, 200]
        assert server.stop() == 0
        server.start()
        assert [status(server, read), status(server, admin)] == [401, 200]
        assert keys("revoke", second["id"], data=data).returncode == 0
        assert [status(server, admin), status(server, None)] == [401, 401], "none is no reason"
        server.stop()
    used = {row["role"]: row["used"] for row in listed(data)}
    assert used["read"] is not None
    assert used["admin"] is not None
    text = "\n".join(map(str, server.log))
    assert read not in text
    assert admin not in text


def test_after_a_kill_nobody_is_waited_for(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        server.kill()
        done = keys("add", "--role", "read", data=data)
        assert (done.returncode, "not read the change" in done.stderr) == (0, False)
        server.start()
        assert status(server, done.stdout.strip()) == 200


def test_a_table_lists_keys_for_people_and_shows_none(tmp_path: Path) -> None:
    key = made(tmp_path, "write")
    out = keys("list", data=tmp_path).stdout
    assert out.splitlines()[0].split() == ["id", "role", "label", "created", "used", "revoked"]
    assert "of write" in out
    assert key[5:20] not in out


def test_a_key_itself_can_be_named_to_be_revoked_and_is_not_repeated(tmp_path: Path) -> None:
    key = made(tmp_path, "write")
    done = keys("revoke", key, data=tmp_path)
    assert done.returncode == 0
    assert key not in done.stderr
    assert "nobody gets in" in done.stderr
    unknown = keys("revoke", new_key("read"), data=tmp_path)
    assert unknown.returncode == 2
    assert "tm_r_" not in unknown.stderr


@pytest.mark.parametrize("name", ["", "a", "0000000", "zzzzzzzz", "%"])
def test_a_name_that_is_none_revokes_nothing(tmp_path: Path, name: str) -> None:
    made(tmp_path, "write")
    assert keys("revoke", name, data=tmp_path).returncode == 2
    assert [row["revoked"] for row in listed(tmp_path)] == [None]


def test_a_reset_forgets_all_keys_and_on_loopback_opens_the_doors(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made(data, "read")
    with Server(data) as server:
        assert status(server, None) == 401
        assert keys("reset", data=data).returncode == 130, "it asks, and nobody answers"
        assert status(server, None) == 401
        assert keys("reset", "--yes", data=data).returncode == 0
        assert status(server, None) == 200


@pytest.mark.parametrize("words", [["list"], ["revoke", "0" * 8], ["reset", "--yes"]])
def test_keys_of_a_folder_that_is_not_there_are_neither_listed_nor_forgotten(
    tmp_path: Path, words: list[str]
) -> None:
    data = tmp_path / "misspelt"
    done = keys(*words, data=data)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{data} is not a data folder: there is no control.db in it." in done.stderr
    assert not data.exists()


# -- where others can reach it ---------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.invalid", "::ffff:127.0.0.1"])
def test_it_does_not_listen_where_others_reach_it_without_a_key(
    tmp_path: Path, host: str
) -> None:
    done = tallymark("serve", "--data", str(tmp_path / "d"), "--port", "0", "--host", host)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"tallymark: host: {host} can be reached from other machines")
    assert "tallymark keys add --role admin" in last
    assert "listening" not in done.stderr


def test_with_a_key_it_does_and_never_answers_without_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    key = made(data, "admin")
    with Server(data, "--host", "0.0.0.0") as server:
        server.client.base_url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert [status(server, None), status(server, key)] == [401, 200]
        keys("reset", "--yes", data=data)
        assert [status(server, None), status(server, key)] == [401, 401]
        server.stop()
    refused = tallymark("serve", "--data", str(data), "--port", "0", "--host", "0.0.0.0")
    assert refused.returncode == 2


def test_the_first_admin_key_comes_by_the_environment_and_goes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key("admin")
    monkeypatch.setattr("tests.server.environment", lambda: given)
    given = environment() | {"TALLYMARK_ADMIN_KEY": key}
    with Server(tmp_path / "data", "--archive") as server:
        assert [status(server, None), status(server, key)] == [401, 200]
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        environs = [Path(f"/proc/{one}/environ").read_bytes() for one in children]
        assert environs
        assert not any(key.encode() in one for one in environs)
        assert key not in "\n".join(map(str, server.log))
    assert listed(tmp_path / "data") == []
    shown = subprocess.run(
        [os.sys.executable, "-m", "web.cli", "config"],  # type: ignore[attr-defined]
        env=given, capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert key not in shown.stdout


def test_a_key_that_is_none_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment() | {"TALLYMARK_ADMIN_KEY": "hunter2"}
    monkeypatch.setattr("tests.server.environment", lambda: given)
    done = tallymark("serve", "--data", str(tmp_path / "data"), "--port", "0")
    assert done.returncode == 2
    assert "TALLYMARK_ADMIN_KEY holds no key" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_file_of_keys_is_followed_while_the_server_runs(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    read, write = new_key("read"), new_key("write")
    file.touch(mode=0o600)
    file.write_text(f"{read} Grafana\n")
    with Server(tmp_path / "data", "--keys-file", str(file)) as server:
        assert [status(server, None), status(server, read)] == [401, 200]
        file.write_text(f"{write}\n")
        while status(server, read) == 200:
            pass
        headers = {"Authorization": f"Bearer {write}"}
        assert server.client.post("/track", json=EVENT, headers=headers).status_code == 200
        file.chmod(0o644)
        assert "chmod 600" in server.line("keys file failed")["reason"]
        assert server.client.post("/track", json=EVENT, headers=headers).status_code == 200


def test_a_file_of_keys_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(new_key("read"))
    file.chmod(0o644)
    done = tallymark(
        "serve", "--data", str(tmp_path / "d"), "--port", "0", "--keys-file", str(file)
    )
    assert done.returncode == 2
    assert "has mode 0644" in done.stderr


# -- the commands that speak to a server -----------------------------------------------------


def test_every_command_takes_its_key_from_the_environment_and_keeps_it_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    found = {role: made(data, role) for role in ROLES}
    plain = environment()
    kept = tmp_path / "kept"
    kept.mkdir()

    def run(role: Role | None, *words: str) -> subprocess.CompletedProcess[str]:
        given = plain if role is None else plain | {"TALLYMARK_KEY": found[role]}
        monkeypatch.setattr("tests.server.environment", lambda: given)
        return tallymark(*words, cwd=kept)

    with Server(data, "--archive") as server:
        size = ("--days", "2", "--services", "4", "--users", "40")
        demo = ("demo", "--url", server.url, *size)
        load = ("load", server.url, "--rate", "50/s", "--duration", "1s", "--json", "load.json")
        (kept / "one.csv").write_text("at,service\n2026-11-01T00:00:00Z,s\n")
        (kept / "map.toml").write_text(MAPPING)
        bring = ("import", "one.csv", "--mapping", "map.toml", "--url", server.url)
        sql = ("sql", "SELECT count() AS n FROM events", "--url", server.url)
        export = ("export", "--url", server.url, "--of", "services")
        for words, role in (
            (demo, "write"), (bring, "write"), (load, "admin"), (sql, "read"), (export, "read"),
        ):  # fmt: skip
            refused = run(None, *words)
            assert refused.returncode != 0, words
            assert "key" in refused.stderr, words
            assert "Traceback" not in refused.stderr
            done = run(role, *words)
            assert done.returncode == 0, (words, done.stderr)
        server.stop()
    texts = [path.read_bytes() for path in kept.rglob("*") if path.is_file()]
    assert not any(key.encode() in text for text in texts for key in found.values())


MAPPING = """
[event]
eventType = "marketplace_view"
[fields]
serviceId = "service"
timestamp = "at"
"""
