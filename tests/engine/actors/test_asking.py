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
