import json
from typing import Any

from engine import events
from engine.cells import OTHER
from engine.config import Config
from engine.events import Batch, Kind
from engine.group import Group
from engine.hashing import hash64, shard_of
from engine.rollups import experiments, names, revenue
from engine.sequence import Sequencing
from engine.timebucket import Calendar
from engine.waiting import DEAL_EVENTS_MAX
from tests import columns
from tests.columns import calls_of, searches_of, users_of, views_of

NOW_MS = 1_794_000_000_000
DAY_MS = 86_400_000

CALL = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 1, "success": True}
SALE = {
    "eventType": "revenue_transaction",
    "orderId": "o",
    "amount": 10,
    "currency": "USD",
    "serviceId": "s",
}
SEARCH = {"eventType": "marketplace_search", "searchQuery": "q"}
VIEW = {"eventType": "marketplace_view", "serviceId": "s"}
SHOWN = {"eventType": "experiment_view", "experimentId": "x", "variantIndex": 0}
GOAL = {"eventType": "experiment_conversion", "experimentId": "x", "variantIndex": 0}
SESSION = {"eventType": "user_session", "sessionId": "s", "duration": 1.5}


def sequencing(**settings: Any) -> Sequencing:
    config = Config(**{"shards": 1, **settings})
    return Sequencing(config, Calendar(config.timezone))


def batch(*told: dict[str, Any], sent_at_ms: int | None = None) -> Batch:
    if sent_at_ms is None:
        return events.replay(Kind.ARRAY, json.dumps(told).encode())
    body = json.dumps({"sentAt": sent_at_ms, "events": told}).encode()
    return events.replay(Kind.ENVELOPE, body)


def take(taker: Sequencing, *told: dict[str, Any], received_ms: int = NOW_MS) -> list[Group]:
    return taker.take(received_ms, [batch(*told)])


def add(taker: Sequencing, received_ms: int, *batches: Batch) -> None:
    for facts in taker.read(received_ms, batches):
        taker.add(received_ms, facts)


def plain(groups: list[Group]) -> list[dict[str, Any]]:
    return [columns.told(group) for group in groups]


def dumped(taker: Sequencing, *, full: bool = True) -> list[bytes]:
    return [b"".join(taker.dump(full=full))]


# -- duplicates -------------------------------------------------------------------------------


def test_an_event_that_comes_again_is_counted_once_and_tallied() -> None:
    taker = sequencing()
    first = {**CALL, "eventId": "a"}
    [group] = take(taker, first, {**first, "latencyMs": 2}, CALL, CALL)
    assert [call[3] for call in calls_of(group)] == [1, 1, 1]
    [again] = take(taker, first, {**VIEW, "eventId": "a"}, {**VIEW, "eventId": "b"})
    assert (len(calls_of(again)), len(views_of(again))) == (0, 1)
    assert (taker.tally.events, taker.tally.duplicates) == (7, 3)


def test_a_duplicate_leaves_no_user_name_or_payment_behind() -> None:
    taker = sequencing()
    event = {**SALE, "eventId": "a", "userId": "u", "billingInterval": "month"}
    take(taker, event)
    [group] = take(taker, {**event, "userId": "v", "serviceId": "t"})
    assert not group.facts


def test_duplicates_are_known_across_the_batches_of_one_record() -> None:
    event = {**CALL, "eventId": "a"}
    [group] = sequencing().take(NOW_MS, [batch(event), batch(CALL, event)])
    assert len(calls_of(group)) == 2


def test_an_id_is_forgotten_after_its_window() -> None:
    taker = sequencing(dedupe_days=1)
    event = {**CALL, "eventId": "a"}
    take(taker, event)
    for hours in range(1, 60):
        take(taker, {**CALL, "eventId": f"b{hours}"}, received_ms=NOW_MS + hours * 3_600_000)
    [group] = take(taker, event, received_ms=NOW_MS + 60 * 3_600_000)
    assert len(calls_of(group)) == 1


def test_records_that_wait_are_told_and_their_duplicates_too() -> None:
    taker = sequencing(services_max=1)
    for service in "ab":
        add(taker, NOW_MS, batch({**CALL, "eventId": "a"}, {**CALL, "serviceId": service}))
    assert (taker.tally.events, taker.tally.duplicates) == (4, 1)
    assert taker.over_cap() == {"services": 2}
    [groups] = taker.deal()
    assert len(calls_of(groups[0])) == 3


def test_records_are_dealt_together_up_to_a_number_of_events_and_a_minute() -> None:
    taker = sequencing()
    some = batch(*[CALL] * (DEAL_EVENTS_MAX // 2))
    for _ in range(2):
        add(taker, NOW_MS, some)
    assert list(taker.deal_due()) == []
    add(taker, NOW_MS + 1, batch(CALL))
    assert [len(calls_of(group)) for [group] in taker.deal_due()] == [DEAL_EVENTS_MAX]
    add(taker, NOW_MS + 60_000, batch(CALL))
    assert [len(calls_of(group)) for [group] in taker.deal_due()] == [1]
    assert [group.received_ms for [group] in taker.deal()] == [NOW_MS + 60_000]


def test_a_record_of_many_events_is_dealt_in_parts() -> None:
    taker = sequencing()
    told = [{**CALL, "eventId": str(n // 2)} for n in range(2 * DEAL_EVENTS_MAX + 2)]
    add(taker, NOW_MS, batch(*told))
    parts = [len(calls_of(group)) for [group] in taker.deal()]
    assert parts == [DEAL_EVENTS_MAX // 2, DEAL_EVENTS_MAX // 2, 1]


# -- instants ---------------------------------------------------------------------------------


def test_an_event_without_timestamp_happened_when_it_was_received() -> None:
    [group] = take(sequencing(), CALL, {**CALL, "timestamp": 5})
    assert [call[2] for call in calls_of(group)] == [NOW_MS, 5]


def test_instants_are_corrected_by_the_senders_clock_as_the_record_was_received() -> None:
    at_ms = NOW_MS - 50_000
    late = batch({**CALL, "timestamp": at_ms}, CALL, sent_at_ms=NOW_MS - 7_000)
    [group] = sequencing().take(NOW_MS, [late])
    assert [call[2] for call in calls_of(group)] == [at_ms + 7_000, NOW_MS]


# -- split ------------------------------------------------------------------------------------


def test_facts_go_to_the_shard_of_their_key_and_users_to_that_of_the_user() -> None:
    groups = take(
        sequencing(shards=8),
        *({**CALL, "serviceId": f"s{n}", "userId": f"u{n}"} for n in range(50)),
    )
    for shard, group in enumerate(groups):
        assert all(shard_of(call[0], 8) == shard for call in calls_of(group))
        assert all(user % 8 == shard for user, _ in users_of(group))
    assert sum(len(calls_of(group)) for group in groups) == 50
    assert {user for group in groups for user, _ in users_of(group)} == {
        hash64(f"u{n}") for n in range(50)
    }


def test_every_type_of_event_makes_its_user_active() -> None:
    told = [CALL, SALE, SEARCH, VIEW, {**VIEW, "eventType": "marketplace_conversion"}, SHOWN,
            GOAL, SESSION, {**SALE, "status": "failed"}]  # fmt: skip
    named = [{**event, "userId": f"u{n}"} for n, event in enumerate(told)]
    [group] = take(sequencing(), *named, SESSION)
    assert [user for user, _ in users_of(group)] == [hash64(f"u{n}") for n in range(9)]


def test_that_a_user_is_active_is_told_again_for_a_later_minute_and_for_another_day() -> None:
    taker = sequencing()
    at = [0, 59_999, 60_000, -DAY_MS, -1, 0, 1 - DAY_MS, 61_000, DAY_MS, DAY_MS]
    start_ms = NOW_MS - NOW_MS % DAY_MS + DAY_MS // 2
    found = []
    for ms in at:
        event = {**CALL, "userId": "u", "timestamp": start_ms + ms}
        [group] = take(taker, event, received_ms=start_ms)
        found += [at_ms - start_ms for _, at_ms in users_of(group)]
    assert found == [0, 60_000, -DAY_MS, 1 - DAY_MS, DAY_MS, DAY_MS]


def test_a_group_that_concerns_nobody_is_empty() -> None:
    groups = take(sequencing(shards=8), CALL)
    assert [group.facts > 0 for group in groups].count(True) == 1


# -- facts ------------------------------------------------------------------------------------


def test_money_becomes_micros_and_a_failed_payment_nothing() -> None:
    [group] = take(
        sequencing(),
        {**SALE, "amount": 19.99, "takeRate": 12.5, "creatorId": "c"},
        {**SALE, "amount": 5, "status": "refunded"},
        {**SALE, "status": "failed", "billingInterval": "month"},
    )
    assert group.sales == [
        ("s", "c", "USD", NOW_MS, revenue.COMPLETED, 19_990_000, 2_498_750),
        ("s", "", "USD", NOW_MS, revenue.REFUNDED, 5_000_000, 0),
    ]


def test_only_recurring_payments_and_refunds_concern_subscriptions() -> None:
    [group] = take(
        sequencing(),
        SALE,
        {**SALE, "billingInterval": "year", "subscriptionId": "sub", "amount": 120},
        {**SALE, "status": "refunded"},
    )
    year_ms = 365 * DAY_MS
    assert group.payments == [
        (hash64("sub"), NOW_MS, NOW_MS + year_ms, 10_000_000, "USD", "s", ""),
        (hash64("o"), NOW_MS, 0, 0, "USD", "s", ""),
    ]


def test_a_unit_is_the_user_else_the_session_and_a_conversion_carries_both() -> None:
    [group] = take(
        sequencing(),
        {**SHOWN, "userId": "a", "sessionId": "a"},
        {**SHOWN, "sessionId": "a"},
        SHOWN,
        {**GOAL, "userId": "a", "sessionId": "a"},
    )
    (_, _, _, user, kind), (_, _, _, session, other), nobody = group.exposures
    assert (kind, other) == (experiments.USER, experiments.SESSION)
    assert user != session
    assert nobody[3:] == (0, experiments.NO_UNIT)
    assert group.goals[0][3:] == (user, session)


def test_a_duration_becomes_microseconds_however_long_it_is() -> None:
    told = [{**SESSION, "duration": duration} for duration in (1.5, 0, 1.7e308)]
    [group] = take(sequencing(), *told)
    assert group.sessions == [(NOW_MS, 3, 1_500 + int(1.7e308) * 1000)]


def test_names_come_with_whoever_carries_one() -> None:
    [group] = take(
        sequencing(),
        {**CALL, "serviceName": "Logo"},
        {**VIEW, "serviceName": ""},
        {**GOAL, "experimentName": "Button", "variantName": "Red", "variantIndex": 2},
        CALL,
    )
    assert group.labels == [
        (names.SERVICE, "s", 0, "Logo"),
        (names.SERVICE, "s", 0, ""),
        (names.EXPERIMENT, "x", 0, "Button"),
        (names.VARIANT, "x", 2, "Red"),
    ]


# -- caps -------------------------------------------------------------------------------------


def test_services_beyond_the_cap_count_together_and_known_ones_on_their_own() -> None:
    taker = sequencing(services_max=2)
    [group] = take(taker, *({**CALL, "serviceId": name} for name in "abcdab"))
    assert [call[0] for call in calls_of(group)] == ["a", "b", OTHER, OTHER, "a", "b"]
    assert taker.caps["services"].refused == 2


def test_one_cap_of_services_holds_for_calls_sales_and_views() -> None:
    taker = sequencing(services_max=1)
    [group] = take(taker, {**VIEW, "serviceId": "a"}, {**CALL, "serviceId": "b"})
    [later] = take(taker, {**SALE, "serviceId": "b"})
    assert [calls_of(group)[0][0], views_of(group)[0][0], later.sales[0][0]] == [
        OTHER,
        "a",
        OTHER,
    ]


def test_creators_experiments_and_categories_have_caps() -> None:
    taker = sequencing(creators_max=1, experiments_max=1, categories_max=1)
    [group] = take(
        taker,
        *({**SALE, "creatorId": name} for name in "ab"),
        *({**SHOWN, "experimentId": name} for name in "ab"),
        *({**CALL, "category": name} for name in ("a", "b", "", None)),
    )
    assert [fact[1] for fact in group.sales] == ["a", OTHER]
    assert [fact[0] for fact in group.exposures] == ["a", OTHER]
    assert [call[1] for call in calls_of(group)] == ["a", OTHER, "", ""]


def test_where_a_cap_is_nearly_full_the_first_event_decides_whatever_its_type() -> None:
    taker = sequencing(services_max=1, experiments_max=1, categories_max=1)
    [group] = take(
        taker,
        {**SALE, "serviceId": "failed", "status": "failed"},
        {**SESSION, "category": "of no figure"},
        {**SALE, "serviceId": "a", "category": "of no figure"},
        {**GOAL, "experimentId": "x"},
        {**SHOWN, "experimentId": "y"},
        {**VIEW, "serviceId": "b", "category": "c"},
        {**CALL, "serviceId": "a", "category": "d"},
    )
    assert calls_of(group)[0][:2] == ("a", OTHER)
    assert views_of(group)[0][:2] == (OTHER, "c")
    assert [group.exposures[0][0], group.goals[0][0]] == [OTHER, "x"]


def test_search_terms_are_capped_by_the_day_on_which_they_were_searched() -> None:
    taker = sequencing(search_terms_per_day_max=2)
    told = [{**SEARCH, "searchQuery": term} for term in "abca"]
    [today] = take(taker, *told)
    [earlier] = take(taker, *({**event, "timestamp": NOW_MS - DAY_MS} for event in told[2:]))
    assert [search[0] for search in searches_of(today)] == ["a", "b", OTHER, "a"]
    assert [search[0] for search in searches_of(earlier)] == ["c", "a"]


# -- keep -------------------------------------------------------------------------------------


def test_what_is_known_comes_back_from_dumps() -> None:
    taker = sequencing(services_max=2, search_terms_per_day_max=1)
    take(taker, {**CALL, "eventId": "1"}, {**SEARCH, "eventId": "2"})
    parts = dumped(taker)
    take(taker, {**CALL, "eventId": "3", "serviceId": "t"}, {**SEARCH, "searchQuery": "r"})
    parts += dumped(taker, full=False)
    back = sequencing(services_max=2, search_terms_per_day_max=1)
    back.load(parts)
    assert back.tally == taker.tally
    assert back.caps["services"].names == {"s", "t"}
    more = [
        {**CALL, "eventId": "1"}, {**CALL, "eventId": "3"}, {**CALL, "serviceId": "u"},
        {**SEARCH, "searchQuery": "z"}, {**SEARCH, "searchQuery": "q"},
    ]  # fmt: skip
    assert plain(take(back, *more)) == plain(take(taker, *more))
    assert back.tally == taker.tally
    assert back.caps["services"].refused == taker.caps["services"].refused == 1


def test_a_dump_of_changes_is_small() -> None:
    taker = sequencing()
    take(taker, *({**CALL, "serviceId": f"s{n}"} for n in range(1_000)))
    whole = sum(map(len, dumped(taker)))
    assert sum(map(len, dumped(taker, full=False))) < 200 < whole


def test_the_split_of_a_record_is_the_same_every_time() -> None:
    told = [
        {**event, "eventId": str(n % 7), "userId": f"u{n % 5}"}
        for n, event in enumerate([CALL, SALE, SEARCH, VIEW, SHOWN, GOAL, SESSION] * 3)
    ]
    assert plain(take(sequencing(shards=5), *told)) == plain(take(sequencing(shards=5), *told))


def test_what_was_split_for_figures_alone_is_handed_out_before_it_is_many_groups() -> None:
    taker = sequencing()
    handed_out: list[int] = []
    for _ in range(300):
        taker.put_off(NOW_MS, [batch(CALL)])
        assert taker.count_now()
        if taker.has_due:
            handed_out.append(len(list(taker.deal_due())))
            assert not taker.has_waiting
    assert handed_out == [64] * 4
    assert len(list(taker.deal())) == 300 % 64
