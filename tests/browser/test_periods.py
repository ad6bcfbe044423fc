"""Periods as people have them: other zones, changed clocks, nothing there, nothing before."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Open, archived, execution, settled
from tests.server import Server

DAY = dt.timedelta(days=1)


def sold(order: str, amount: float, currency: str) -> dict[str, object]:
    return {
        "eventType": "revenue_transaction",
        "serviceId": "s-1",
        "orderId": order,
        "amount": amount,
        "currency": currency,
    }


@pytest.fixture(scope="module")
def kolkata(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--timezone", "Asia/Kolkata")  # and no archive
    with Server(tmp_path_factory.mktemp("kolkata") / "data", *options) as running:
        now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        for hours in range(1, 30):
            told = execution(timestamp=now_ms - hours * 3_600_000)
            assert running.client.post("/track", json=told).status_code == 200
        yield running


def test_hours_that_begin_at_half_past_are_asked_for_as_they_are(
    kolkata: Server, page: Page, open_page: Open
) -> None:
    open_page(kolkata, "/#/?range=24h")
    settled(page)
    expect(page.locator("header")).to_contain_text("Kolkata")
    assert page.locator(".state.error").all_inner_texts() == []
    figure = page.get_by_role("figure", name="Executions").locator(".chart-figure")
    expect(figure).to_contain_text(re.compile("2[23]"))  # an hour may have ended meanwhile
    expect(page.get_by_role("region", name="Recent errors")).to_contain_text("archive is off")


def test_a_zone_that_cannot_be_cut_falls_back_and_says_why(
    kolkata: Server, page: Page, open_page: Open
) -> None:
    open_page(kolkata, "/#/?tz=Europe/Berlin")
    settled(page)
    expect(page.locator(".toast")).to_contain_text("whole hours of Kolkata")
    expect(page.locator("header")).to_contain_text("Kolkata")
    assert page.locator(".state.error").all_inner_texts() == []


def test_a_day_of_twenty_five_hours_has_twenty_five(tmp_path: Path, open_page: Open) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('timezone = "America/New_York"\nkeep_hours_days = 400\n')
    with Server(tmp_path / "data", "--config", str(settings)) as running:
        # The last time that clocks there were set back: the first Sunday of a November.
        today = dt.datetime.now(dt.UTC).date()
        year = today.year if today > dt.date(today.year, 11, 10) else today.year - 1
        first = dt.date(year, 11, 1)
        sunday = first + DAY * ((6 - first.weekday()) % 7)
        midnight_ms = int(
            dt.datetime(year, 11, sunday.day, 4, tzinfo=dt.UTC).timestamp() * 1000
        )
        for hour in range(25):
            told = execution(timestamp=midnight_ms + hour * 3_600_000 + 60_000)
            assert running.client.post("/track", json=told).status_code == 200
        page = open_page(running, f"/#/?range={sunday}..{sunday}")
        settled(page)
        chart = page.get_by_role("figure", name="Executions")
        expect(chart.locator(".chart-figure")).to_contain_text("25")
        expect(chart.locator("table tbody tr")).to_have_count(25)


def test_a_period_without_data_says_so_in_every_view(
    server: Server, page: Page, open_page: Open
) -> None:
    server.client.post("/track", json=execution())
    first = dt.datetime.now(dt.UTC).date() - 200 * DAY
    for view in ("", "services", "revenue", "marketplace", "users"):
        open_page(server, f"/#/{view}?range={first}..{first + 2 * DAY}")
        settled(page)
        expect(page.locator("main .state").first).to_contain_text("No")
        assert page.locator(".state.error").all_inner_texts() == []


def test_the_failures_of_a_service_are_those_of_the_period(
    server: Server, page: Page, open_page: Open
) -> None:
    before = dt.datetime.now(dt.UTC) - 3 * DAY
    failed = [
        execution(success=False, errorCode="BEFORE", timestamp=int(before.timestamp() * 1000)),
        execution(success=False, errorCode="LATELY"),
    ]
    assert server.client.post("/track/batch", json=failed).status_code == 200
    archived(server)
    open_page(server, f"/#/services/s-1?range={before:%Y-%m-%d}..{before:%Y-%m-%d}")
    settled(page)
    expect(page.locator(".failures li")).to_have_count(1)
    expect(page.locator(".failures li")).to_contain_text("BEFORE")
    page.get_by_role("link", name="BEFORE").click()
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(1)
    open_page(server, "/#/services/s-1")
    expect(page.locator(".failures li")).to_have_count(2)


def test_nothing_is_compared_with_a_time_before_the_first_event(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/revenue")  # 28 days, of 35 that there are
    settled(page)
    compare = page.get_by_role("button", name="Compare")
    compare.press("Enter")
    expect(page.locator(".toast")).to_contain_text("There are no events before")
    expect(page.locator(".stat .change")).to_have_count(0)
    open_page(demo, "/#/revenue?range=7d")
    settled(page)
    expect(page.locator("header")).to_contain_text("vs previous 7 days")


def test_in_another_zone_a_week_is_shown_although_the_hours_before_it_are_gone(
    server: Server, open_page: Open
) -> None:
    now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    batch = [execution(timestamp=now_ms - days * 86_400_000) for days in (0, 20)]
    assert server.client.post("/track/batch", json=batch).status_code == 200
    page = open_page(server, "/#/services?tz=Asia/Tokyo")
    settled(page)
    expect(page.locator("main tbody tr")).to_have_count(1)
    compare = page.get_by_role("button", name="Compare")
    expect(compare).to_have_attribute("title", re.compile("hours that are no longer kept"))


@pytest.mark.parametrize("view", ["revenue", "users", "dashboards/revenue"])
def test_where_another_zone_is_refused_a_button_leads_back_to_that_of_the_service(
    demo: Server, open_page: Open, complaints: Complaints, view: str
) -> None:
    complaints.expect("422")
    page = open_page(demo, f"/#/{view}?range=28d&tz=Asia/Tokyo")
    refused = page.locator(".state.error")
    expect(refused.first).to_contain_text("reporting zone UTC")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)  # nothing seems to be on its way
    refused.first.get_by_role("button", name="Back to UTC").click()
    expect(page).to_have_url(re.compile(rf"#/{view}\?range=28d$"))
    expect(refused).to_have_count(0)
    settled(page)


def test_hours_that_no_zone_keeps_offer_no_way_back_to_another(
    demo: Server, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("422")
    first = dt.datetime.now(dt.UTC).date() - 20 * DAY
    page = open_page(
        demo, f"/#/revenue?range={first}T03:00..{first}T09:00&tz=Asia/Tokyo&compare=off"
    )
    refused = page.locator(".state.error").first
    expect(refused).to_contain_text("reporting zone UTC")
    expect(refused.get_by_role("button")).to_have_count(0)


def test_hours_are_compared_with_the_days_of_the_period_before(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/?range=7d&granularity=hour")
    settled(page)
    chart = page.get_by_role("figure", name="Executions")
    expect(chart.locator(".legend")).to_contain_text("mean hour of each day")
    params = "granularity=day"
    today = dt.datetime.now(dt.UTC).date()
    span = f"startDate={today - 13 * DAY}&endDate={today - 7 * DAY}"
    days = demo.client.get(f"/metrics/services?{span}&{params}").json()["series"]
    rows = chart.locator("table tbody tr")
    expect(rows).to_have_count(168)
    for day in (0, 3, 6):
        mean = round(days[day]["executions"] / 24)
        shown = rows.nth(24 * day + 5).locator("td").last.text_content()
        assert abs(int((shown or "").replace(",", "")) - mean) <= 1


def test_several_currencies_are_told_apart_and_one_can_be_chosen(
    server: Server, page: Page, open_page: Open
) -> None:
    amounts = {"USD": 10, "EUR": 20, "GBP": 30, "JPY": 4000, "BHD": 1.125}
    batch = [sold(code, amount, code) for code, amount in amounts.items()]
    assert server.client.post("/track/batch", json=batch).status_code == 200
    open_page(server, "/#/revenue?range=7d")
    settled(page)
    expect(page.locator(".notice")).to_contain_text("BHD, EUR, GBP, JPY, and USD")
    table = page.get_by_role("table", name="By currency")
    expect(table.locator("tbody tr")).to_have_count(5)
    expect(table).to_contain_text("¥4,000")
    expect(table).to_contain_text("BHD 1.125")
    page.get_by_role("group", name="Currency").get_by_text("EUR").click()
    settled(page)
    expect(page.locator(".stat-figure").first).to_have_text("€20.00")
    expect(page.locator(".notice")).to_have_count(0)
    expect(table.locator("tbody tr")).to_have_count(5)
    page.go_back()
    expect(page.locator(".stat-figure").first).to_have_text("\N{EN DASH}")


def test_a_figure_in_several_currencies_says_so_wherever_it_cannot_be_told(
    server: Server, page: Page, open_page: Open
) -> None:
    batch = [sold(code, 10, code) for code in ("USD", "EUR")]
    assert server.client.post("/track/batch", json=batch).status_code == 200
    told = "Amounts came in EUR and USD, and no rate tells what they are together."
    open_page(server)
    settled(page)
    expect(page.locator("a.stat", has_text="Revenue")).to_contain_text("in several currencies")
    expect(page.get_by_text(told)).to_be_visible()
    open_page(server, "/#/dashboards/revenue")
    settled(page)
    expect(page.get_by_text(told)).to_be_visible()
    page.set_viewport_size({"width": 1240, "height": 800})
    open_page(server, "/#/revenue")
    settled(page)
    box = page.get_by_role("region", name="Currencies, rows")
    assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
