"""Dashboards through the application: kept, replaced with care, carried over, shared."""

import re
from typing import Any

import msgspec
import pytest
from quart.typing import TestClientProtocol as Client

from engine.config import Config
from persistence.control import Sketch
from tests.server import ROOT
from web.app import create_app
from web.control import Control
from web.service import LateEngine

BOARD: dict[str, Any] = {
    "name": "Services Performance Dashboard",
    "type": "service_performance",
    "refreshInterval": 30,
    "widgets": [
        {
            "kind": "counter",
            "title": "Service Executions",
            "metric": "services.executions",
            "range": "24h",
            "filters": {},
            "layout": {"x": 0, "y": 0, "w": 3, "h": 2},
        },
        {"kind": "lineChart", "title": "Latency Trend", "metric": "services.latency"},
        {"kind": "table", "title": "Top Services", "metric": "services.services"},
    ],
}


REFUSED: list[tuple[str, dict[str, str]]] = [
    ("services", {"serviceId": ""}),
    ("services", {"category": "x" * 257}),
    ("services", {"sort": "colour"}),
    ("services", {"trend": "maybe"}),
    ("revenue", {"currency": "usd"}),
    ("revenue", {"limit": "0"}),
    ("marketplace", {"timezone": "Mars/Olympus"}),
    ("marketplace", {"granularity": "minute"}),
    ("experiments", {"startDate": "2026-02-30"}),
    ("experiments", {"endDate": "soon"}),
    ("users", {"cohorts": "day"}),
    ("users", {"granularity": "hour"}),
    ("users", {"compare": "null"}),
]
"""Filters that no time makes right."""

TAKEN: list[tuple[str, dict[str, str]]] = [
    ("services", {"serviceId": "null", "category": "x" * 256, "sort": "-p95", "trend": "true"}),
    ("services", {"startDate": "2099-01-01", "timezone": "Europe/Zurich"}),
    ("revenue", {"currency": "USD", "creatorId": "c-1", "limit": "10000"}),
    ("marketplace", {"granularity": "week", "compare": "previous"}),
    ("experiments", {"startDate": "2020-01-01", "endDate": "2026-01-01T09:30:15+02:00"}),
    ("users", {"cohorts": "week", "endDate": "1759320000000"}),
]
"""Those that can be answered some day, or could once."""


async def made(client: Client, **changes: Any) -> dict[str, Any]:
    reply = await client.post("/dashboards", json=BOARD | changes)
    assert reply.status_code == 201, await reply.get_data()
    answer = await reply.get_json()
    assert reply.headers["Location"] == f"/dashboards/{answer['data']['id']}"
    return {"etag": reply.headers["ETag"], **answer["data"]}


async def detail(reply: Any, status: int) -> str:
    assert reply.status_code == status, await reply.get_data()
    problem = await reply.get_json()
    assert problem["success"] is False
    return str(problem["detail"])


async def test_there_is_one_dashboard_for_each_family_from_the_start(client: Client) -> None:
    boards = (await (await client.get("/dashboards")).get_json())["data"]
    assert [board["type"] for board in boards] == [
        "service_performance",
        "revenue",
        "marketplace",
        "experiments",
        "users",
    ]
    assert all(board["widgets"] and board["isActive"] for board in boards)


async def test_what_was_sent_comes_back_with_what_was_left_out(client: Client) -> None:
    board = await made(client)
    answer = await (await client.get(f"/dashboards/{board['id']}")).get_json()
    found = answer["data"]
    assert found["widgets"][0] == BOARD["widgets"][0]
    assert found["description"] == ""
    assert (found["isActive"], found["refreshInterval"]) == (True, 30)
    assert found["createdAt"] == found["updatedAt"] == "2025-10-03T12:00:00+00:00"
    layouts = [widget["layout"] for widget in found["widgets"][1:]]
    assert layouts == [{"x": 0, "y": 2, "w": 6, "h": 4}, {"x": 6, "y": 2, "w": 6, "h": 4}]


async def test_what_was_read_can_be_sent_back_as_it_is(client: Client) -> None:
    board = await made(client)
    path = f"/dashboards/{board['id']}"
    read = (await (await client.get(path)).get_json())["data"]
    reply = await client.put(path, json=read)
    assert (await reply.get_json())["data"]["widgets"] == read["widgets"]


async def test_a_version_that_the_caller_has_is_not_sent_again(client: Client) -> None:
    board = await made(client)
    path = f"/dashboards/{board['id']}"
    same = await client.get(path, headers={"If-None-Match": board["etag"]})
    assert (same.status_code, await same.get_data()) == (304, b"")
    changed = await client.put(path, json=BOARD | {"description": "new"})
    assert changed.headers["ETag"] != board["etag"]
    other = await client.get(path, headers={"If-None-Match": board["etag"]})
    assert other.status_code == 200


async def test_of_two_editors_the_second_is_told(client: Client) -> None:
    board = await made(client)
    path, mine = f"/dashboards/{board['id']}", {"If-Match": board["etag"]}
    assert (await client.put(path, json=BOARD, headers=mine)).status_code == 200
    theirs = await client.put(path, json=BOARD | {"name": "Other"}, headers=mine)
    assert "was changed since you read it" in await detail(theirs, 412)
    await detail(await client.delete(path, headers=mine), 412)
    for header in ('"', '"other-1"', '"x", W/"y"', "nonsense"):
        await detail(await client.put(path, json=BOARD, headers={"If-Match": header}), 412)
    assert (await client.delete(path, headers={"If-Match": "*"})).status_code == 204
    assert "There is no dashboard" in await detail(await client.get(path), 404)


async def test_a_text_that_is_no_unicode_is_refused(client: Client) -> None:
    headers = {"Content-Type": "application/json"}
    for text in (b"\\ud800", b"a\\udc00b"):
        body = b'{"name":"%b"}' % text
        reply = await client.post("/dashboards", data=body, headers=headers)
        assert reply.status_code in (400, 422), await reply.get_data()
        assert (
            await client.put("/catalog/services/%FF", data=body, headers=headers)
        ).status_code in (400, 422)


async def test_a_name_is_used_once(client: Client) -> None:
    await made(client)
    reply = await client.post("/dashboards", json=BOARD)
    assert "Choose another name" in await detail(reply, 409)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": ""}, "$.name"),
        ({"name": " \n"}, "$.name"),
        ({"type": "pies"}, "$.type"),
        ({"refreshInterval": 0}, "$.refreshInterval"),
        ({"isActive": "yes"}, "$.isActive"),
        ({"widgets": [{"kind": "pie", "title": "", "metric": "users"}]}, "$.widgets[0].kind"),
        ({"widgets": [{"kind": "table", "title": "", "metric": "x"}]}, "$.widgets[0].metric"),
        (
            {"widgets": [{"kind": "table", "title": "", "metric": "users\n"}]},
            "$.widgets[0].metric",
        ),
        (
            {"widgets": [BOARD["widgets"][0] | {"range": "24h\n"}]},
            "$.widgets[0].range",
        ),
        *(
            ({"widgets": [BOARD["widgets"][0] | {"range": word}]}, "$.widgets[0].range")
            for word in (
                "0d",
                "14d",
                "2026-11-31..2026-12-01",
                "2026-11-31",
                "2026-12-02..2026-12-01",
                "2026-12-01T24:00..2026-12-03",
                "2026-12-01T09:00..2026-12-01T09:00",
            )
        ),
        *(
            (
                {"widgets": [{"kind": "table", "title": "", "metric": metric} | filters]},
                "$.widgets[0].filters",
            )
            for metric, filters in (
                ("services.p95", {"filters": {"category": "a", "creatorId": "b"}}),
                ("services", {"filters": {"service_id": "a"}}),
                ("users.dau", {"filters": {"serviceId": "a"}}),
                ("counters.views:today", {"filters": {"serviceId": "a"}}),
                ("sql", {"filters": {"SQL": "SELECT 1"}}),
            )
        ),
        (
            {
                "widgets": [
                    BOARD["widgets"][0],
                    BOARD["widgets"][0] | {"layout": {"x": 7, "y": 0, "w": 6, "h": 1}},
                ]
            },
            "$.widgets[1].layout",
        ),
        (
            {"widgets": [BOARD["widgets"][0] | {"layout": {"x": 12, "y": 0, "w": 1, "h": 1}}]},
            "$.widgets[0].layout.x",
        ),
    ],
)
async def test_what_is_no_dashboard_is_refused_by_its_path(
    client: Client, change: dict[str, Any], path: str
) -> None:
    reply = await client.post("/dashboards", json=BOARD | change)
    assert reply.status_code == 422
    problem = await reply.get_json()
    assert problem["type"] == "/problems/invalid-document"
    assert problem["errors"][0]["path"] == path


@pytest.mark.parametrize(("family", "filters"), REFUSED)
async def test_a_filter_is_refused_as_its_route_refuses_it(
    client: Client, family: str, filters: dict[str, str]
) -> None:
    widget = {"kind": "table", "title": "", "metric": family, "filters": filters}
    kept = await client.post("/dashboards", json=BOARD | {"widgets": [widget]})
    asked = await client.get(f"/metrics/{family}", query_string=filters)
    (name,) = filters
    told = (await detail(asked, 422)).removesuffix(".")
    assert await detail(kept, 422) == f"{told} (at $.widgets[0].filters.{name})."


@pytest.mark.parametrize(("family", "filters"), TAKEN)
async def test_a_filter_that_may_be_answered_some_day_is_kept(
    client: Client, family: str, filters: dict[str, str]
) -> None:
    widget = {"kind": "table", "title": "", "metric": family, "filters": filters}
    board = await made(client, widgets=[widget])
    assert board["widgets"][0]["filters"] == filters


async def test_a_filter_that_was_kept_before_it_was_checked_can_be_read(
    client: Client, control: Control
) -> None:
    widgets = [
        {"kind": "table", "title": "", "metric": family, "filters": filters}
        for family, filters in REFUSED
    ]
    old = Sketch("old", "Old", msgspec.json.encode(BOARD | {"name": "Old", "widgets": widgets}))
    control._store.add(old, now_ms=0, dashboards_max=100)
    one = (await (await client.get("/dashboards/old")).get_json())["data"]
    assert [widget["filters"] for widget in one["widgets"]] == [given for _, given in REFUSED]
    assert one in (await (await client.get("/dashboards")).get_json())["data"]
    exported = await (await client.get("/dashboards/old/export")).get_json()
    await detail(await client.post("/dashboards/import", json=exported), 422)


async def test_every_period_that_the_page_offers_may_be_kept(client: Client) -> None:
    page = (ROOT / "web" / "ui" / "src" / "lib" / "period.ts").read_text()
    presets = re.findall(r'\{ word: "(\w+)", label', page)
    assert len(presets) >= 10
    dates = ["2026-12-01..2026-12-01", "2026-02-27T23:00..2026-02-28", "2024-02-29..2024-03-01"]
    widgets = [BOARD["widgets"][0] | {"range": word} for word in [*presets, *dates, None]]
    board = await made(client, widgets=widgets)
    assert [widget["range"] for widget in board["widgets"]] == [*presets, *dates, None]


@pytest.mark.parametrize("body", [b"", b"{", b'{"name":"\xff"}', b"[" * 50_000])
async def test_what_is_no_json_is_malformed(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    await detail(await client.post("/dashboards", data=body, headers=headers), 400)


async def test_a_body_that_a_foreign_page_may_send_unasked_is_not_read(client: Client) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded", ""):
        reply = await client.post("/dashboards", data=b"{}", headers={"Content-Type": media})
        assert "application/json" in await detail(reply, 415)


@pytest.mark.parametrize("path", ["/dashboards", "/catalog/services/s-1"])
async def test_a_body_is_read_as_utf_8_or_not_at_all(client: Client, path: str) -> None:
    send = client.post if path == "/dashboards" else client.put
    for media in ("application/json; charset=utf-16", "application/json;charset=latin-1"):
        reply = await send(path, data=b"{}", headers={"Content-Type": media})
        assert "UTF-8" in await detail(reply, 415)
    for media in ("application/json; charset=utf-8", 'Application/JSON; Charset="UTF-8"'):
        reply = await send(path, data=b"{", headers={"Content-Type": media})
        await detail(reply, 400)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_pages_of_other_origins_change_nothing(
    client: Client, headers: dict[str, str]
) -> None:
    board = await made(client)
    path = f"/dashboards/{board['id']}"
    for reply in (
        await client.post("/dashboards", json=BOARD, headers=headers),
        await client.post(f"{path}/share", headers=headers),
        await client.delete(path, headers=headers),
        await client.put("/catalog/services/s", json={"name": "x"}, headers=headers),
    ):
        await detail(reply, 403)
    assert (await client.get(path, headers=headers)).status_code == 200


async def test_our_own_page_may(client: Client) -> None:
    for number, headers in enumerate(
        (
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "http://localhost"},
        )
    ):
        reply = await client.post(
            "/dashboards", json=BOARD | {"name": str(number)}, headers=headers
        )
        assert reply.status_code == 201


async def test_limits_hold_at_and_beyond(
    service: LateEngine, config: Config, control: Control
) -> None:
    small = msgspec.structs.replace(
        config, dashboards_max=6, dashboard_widgets_max=3, dashboard_bytes_max=4_000
    )
    client = create_app(
        service,
        config,
        Control(control._store, small, keyring=control.keyring, now_ms=lambda: 0),
    ).test_client()
    four = {"widgets": [BOARD["widgets"][0]] * 4}
    assert "at most 3 widgets" in await detail(
        await client.post("/dashboards", json=BOARD | four), 422
    )
    large = BOARD | {"padding": "x" * 4_000}
    assert "at most 4000 bytes" in await detail(
        await client.post("/dashboards", json=large), 413
    )
    await made(client)  # the sixth
    one_more = await client.post("/dashboards", json=BOARD | {"name": "7"})
    assert "dashboards_max" in await detail(one_more, 409)


async def test_an_export_becomes_a_dashboard_elsewhere(client: Client) -> None:
    board = await made(client)
    file = await client.get(f"/dashboards/{board['id']}/export")
    name = 'attachment; filename="services-performance-dashboard.json"'
    assert file.headers["Content-Disposition"] == name
    exported = await file.get_json()
    assert (exported["format"], exported["version"]) == ("tallymark.dashboard", 1)
    again = await client.post("/dashboards/import", json=exported)
    assert again.status_code == 201
    found = (await again.get_json())["data"]
    assert found["name"] == "Services Performance Dashboard (2)"
    assert found["id"] != board["id"]
    assert found["widgets"] == board["widgets"]
    wrong = await client.post("/dashboards/import", json=exported | {"version": 2})
    await detail(wrong, 422)


async def shared(client: Client, board: dict[str, Any]) -> str:
    reply = await client.post(f"/dashboards/{board['id']}/share")
    share = (await reply.get_json())["data"]
    assert share["path"] == f"/embed/{board['id']}?token={share['token']}"
    return str(share["token"])


async def test_a_link_opens_its_dashboard_until_it_is_taken_back(client: Client) -> None:
    board = await made(client)
    token = await shared(client, board)
    assert await shared(client, board) == token
    path = f"/embed/{board['id']}/dashboard?token={token}"
    opened = (await (await client.get(path)).get_json())["data"]
    assert (opened["id"], opened["isShared"]) == (board["id"], True)
    assert (await client.delete(f"/dashboards/{board['id']}/share")).status_code == 204
    assert "sharing was ended" in await detail(await client.get(path), 404)
    assert await shared(client, board) != token


async def test_a_token_opens_nothing_but_its_own(client: Client) -> None:
    board, other = await made(client), await made(client, name="Other")
    token = await shared(client, board)
    await shared(client, other)
    for key, wrong in ((other["id"], token), (board["id"], token[:-1]), ("nope", token)):
        await detail(await client.get(f"/embed/{key}/dashboard?token={wrong}"), 404)
    await detail(await client.get(f"/embed/{board['id']}/dashboard"), 422)
    await detail(await client.get(f"/embed/{board['id']}/dashboard?token=%C3%A9"), 404)


async def test_a_token_opens_the_figures_of_its_widgets_alone(client: Client) -> None:
    widgets = [
        {"kind": "table", "title": "", "metric": "services", "filters": {"serviceId": "a"}},
        {"kind": "counter", "title": "", "metric": "counters.views:today"},
    ]
    board = await made(client, widgets=widgets)
    token = await shared(client, board)
    base = f"/embed/{board['id']}"

    async def status(path: str) -> int:
        return (await client.get(f"{base}{path}&token={token}")).status_code

    assert await status("/metrics/services?serviceId=a&startDate=2025-10-01") == 200
    assert await status("/metrics/services?serviceId=b") == 403
    assert await status("/metrics/services?limit=1") == 403
    assert await status("/metrics/revenue?limit=1") == 403
    assert await status("/counters?keys=views:today") == 200
    assert await status("/counters?keys=views:today,errors:today") == 403
    assert (await client.get(f"{base}/metrics/services?serviceId=a")).status_code == 422


async def test_a_shared_page_stands_in_the_frames_that_are_allowed(
    service: LateEngine, config: Config, control: Control
) -> None:
    allowed = msgspec.structs.replace(config, embed_ancestors=("https://shop.example",))
    for settings, ancestors in ((config, "'self'"), (allowed, "https://shop.example")):
        client = create_app(service, settings, control).test_client()
        page = await client.get("/embed/services?token=x")
        assert page.headers["Content-Type"].startswith("text/html")
        assert page.headers["Content-Security-Policy"].endswith(f"frame-ancestors {ancestors}")
