"""Bodies with holes: valid JSON when filled, ids never twice, and sums that can be trusted."""

from random import Random
from typing import Any

import orjson
import pytest

from load.mixture import generate
from load.payload import STAMP_BYTES, Form, Template, stamp, templates
from load.profile import Data
from load.tally import EVENTS, tally_of, times

DATA = Data(services=20, users=50)


def made(form: Form, batch: int, *, worker: int = 0, seed: int = 1) -> list[Template]:
    return templates(
        run="r1",
        worker=worker,
        seed=seed,
        label="x",
        data=DATA,
        batch=batch,
        form=form,
        count=40,
    )


def filled(template: Template, number: int, now_ms: int = 1_700_000_000_000) -> bytes:
    return stamp(number, now_ms).join(template.parts)


def events_of(body: bytes, form: Form) -> list[dict[str, Any]]:
    if form is Form.LINES:
        return [orjson.loads(line) for line in body.splitlines()]
    found = orjson.loads(body)
    return [found] if form is Form.ONE else found


@pytest.mark.parametrize(
    ("form", "batch"), [(Form.ONE, 1), (Form.ARRAY, 25), (Form.LINES, 300)]
)
def test_a_filled_body_is_what_its_template_says(form: Form, batch: int) -> None:
    template = made(form, batch)[0]
    body = filled(template, 7)
    events = events_of(body, form)
    assert len(events) == batch
    assert len(body) == template.size_bytes
    assert {event["timestamp"] for event in events} == {1_700_000_000_000}
    assert tally_of(events) == template.tally


def test_no_two_events_of_a_run_have_the_same_id() -> None:
    numbers = (1, 2, 255, 0xFFFFFFFFFF)  # a worker uses each for one request
    bodies = [
        filled(template, number)
        for worker in range(3)
        for template, number in zip(made(Form.ARRAY, 5, worker=worker), numbers, strict=False)
    ]
    ids = [event["eventId"] for body in bodies for event in orjson.loads(body)]
    assert len(set(ids)) == len(ids) == 3 * 4 * 5


def test_the_size_of_a_stamp_does_not_depend_on_what_it_says() -> None:
    assert {len(stamp(n, ms)) for n in (0, 10**9) for ms in (0, 10**12)} == {STAMP_BYTES}


def test_the_same_seed_makes_the_same_bodies_and_each_worker_has_its_own() -> None:
    assert made(Form.ARRAY, 25)[3] == made(Form.ARRAY, 25)[3]
    first, second = (made(Form.ARRAY, 25, worker=worker)[0].parts for worker in (0, 1))
    assert first != second


def test_everything_that_is_named_begins_with_the_label() -> None:
    for event in generate(500, chance=Random(1), label="x", data=DATA):
        named = ("category", "serviceId", "creatorId", "experimentId")
        assert all(event[field].startswith("x-") for field in named if field in event)


def test_a_higher_skew_makes_the_first_service_hotter() -> None:
    shares = []
    for skew in (0.0, 1.0, 2.0):
        data = Data(services=1_000, skew=skew, mix={"marketplace_view": 1})
        events = generate(2_000, chance=Random(1), label="x", data=data)
        shares.append(sum(event["serviceId"] == "x-service-0000" for event in events))
    assert shares == sorted(shares)
    assert shares[0] < 20 < 200 < shares[2]


def test_a_batch_goes_where_tallymark_takes_one_of_its_size() -> None:
    routes = [Form.of(batch).route for batch in (1, 2, 25, 26, 1_000)]
    assert routes == ["/track", "/track/batch", "/track/batch", "/track/bulk", "/track/bulk"]


def test_a_tally_counts_each_event_once_and_money_in_cents() -> None:
    events = [
        {"eventType": "service_execution", "success": False},
        {"eventType": "service_execution", "success": True},
        {"eventType": "revenue_transaction", "amount": 12.99},
        {"eventType": "user_session"},
    ]
    tally = tally_of(events)
    assert tally == {
        EVENTS: 4,
        "executions": 2,
        "failed executions": 1,
        "transactions": 1,
        "cents": 1299,
        "sessions": 1,
    }
    assert times(tally, 3)["cents"] == 3 * 1299
