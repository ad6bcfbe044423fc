"""Questions about one name, where only so many names have figures of their own."""

import pytest

from engine.answers import experiments, marketplace, revenue, services
from engine.cells import OTHER
from engine.errors import Unanswerable
from tests.living import batch, config_of, living, view


def call(service, category):
    told = {"serviceId": service, "latencyMs": 1, "success": True, "category": category}
    return {"eventType": "service_execution", **told}


def sale(creator):
    told = {"orderId": "o", "serviceId": "s", "amount": 1, "currency": "USD"}
    return {"eventType": "revenue_transaction", "creatorId": creator, **told}


def exposure(experiment):
    told = {"experimentId": experiment, "variantIndex": 0, "userId": "u"}
    return {"eventType": "experiment_view", **told}


async def executions(engine, **asked):
    return (await engine.services(services.Asked(**asked))).total.executions


async def sales(engine, **asked):
    return (await engine.revenue(revenue.Asked(**asked))).data.transaction_count


async def tried(engine, **asked):
    found = (await engine.experiments(experiments.Asked(**asked))).data
    return sum(one.variants[0].views for one in found)


@pytest.mark.parametrize(
    ("kind", "event", "field", "count"),
    [
        ("services", lambda name: call(name, None), "service_id", executions),
        ("categories", lambda name: call("s", name), "category", executions),
        ("creators", sale, "creator_id", sales),
        ("experiments", exposure, "experiment_id", tried),
    ],
)
async def test_what_may_count_with_others_is_refused_and_not_told_as_nothing(
    tmp_path, kind, event, field, count
):
    settings = {f"{kind}_max": 1}
    if kind == "categories":
        settings["service_categories_max"] = 1
    async with living(config_of(tmp_path, **settings)) as life:
        await life.engine.accept(batch(event("first")))
        assert await count(life.engine, **{field: "second"}) == 0, "it never came"
        await life.engine.accept(batch(event("second"), event("third")))
        for name in ("second", "never"):
            with pytest.raises(Unanswerable, match=rf"'{name}' .* {kind}_max"):
                await count(life.engine, **{field: name})
        assert await count(life.engine, **{field: "first"}) == 1
        assert await count(life.engine, **{field: OTHER}) == 2
        assert await count(life.engine) == 3
    async with living(config_of(tmp_path, **settings)) as life:
        with pytest.raises(Unanswerable):
            await count(life.engine, **{field: "second"})


async def test_all_filters_are_told_apart(tmp_path):
    async with living(config_of(tmp_path, services_max=1)) as life:
        await life.engine.accept(batch(view("a"), view("b")))
        with pytest.raises(Unanswerable, match=r"^serviceId: 'b' has no figures of its own"):
            await life.engine.marketplace(marketplace.Asked(service_id="b"))


async def test_a_category_beyond_the_cap_of_one_service_is_refused_where_it_would_be_missed(
    tmp_path,
):
    settings = config_of(tmp_path, service_categories_max=2, shards=3)
    async with living(settings) as life:
        told = [call("full", name) for name in ("a", "b", "c")]
        await life.engine.accept(batch(*told, call("other", "c"), call("other", "d")))
    for _ in range(2):  # the second time from a snapshot
        async with living(settings) as life:
            for asked in ({"category": "c"}, {"category": "c", "service_id": "full"}):
                with pytest.raises(
                    Unanswerable, match=r"^category: 'c' .*service_categories_max"
                ):
                    await executions(life.engine, **asked)
            assert await executions(life.engine, category="c", service_id="other") == 1
            assert await executions(life.engine, category="a") == 1
            assert await executions(life.engine, category=OTHER) == 1
            assert await executions(life.engine) == 5
            before = {"start_date": "2026-09-01", "end_date": "2026-09-02"}
            assert await executions(life.engine, category="c", **before) == 0


async def test_a_service_whose_categories_have_room_misses_none(tmp_path):
    async with living(config_of(tmp_path, categories_max=1)) as life:
        await life.engine.accept(batch(call("s", "a"), call("s", "b"), call("t", "b")))
        assert await executions(life.engine, category="a", service_id="t") == 0
