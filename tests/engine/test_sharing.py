import gc
from collections import Counter
from types import FunctionType, ModuleType

import pytest
from msgspec.structs import replace

from engine.config import Config
from engine.sharing import Shared
from load import marketplace as demo
from persistence.recovery import recover
from tests.living import NOW_MS, batch, config_of, living


def told(service):
    return ("".join(["serv", service]), "text", 1)


def test_equal_texts_and_keys_are_one_object_and_the_texts_in_them_too():
    shared = Shared()
    first, again = shared.same(told("ice")), shared.same(told("ice"))
    other = shared.same(("".join(["serv", "ice"]), "image"))
    assert first is again
    assert first == told("ice")
    assert other[0] is first[0] is shared.same("".join(["servic", "e"]))


def texts_of(*owners):
    """Every text that they hold, as often as there is an object of it."""
    found, seen, rest = [], set(), list(owners)
    while rest:
        one = rest.pop()
        if id(one) in seen or isinstance(one, type | FunctionType | ModuleType | Config):
            continue
        seen.add(id(one))
        if isinstance(one, str):
            found.append(one)
        else:
            rest += gc.get_referents(one)
    return found


@pytest.mark.parametrize("shards", [2, 3])
async def test_after_a_restart_no_text_is_in_memory_twice(tmp_path, shards):
    config = config_of(tmp_path)
    events = list(demo.generate(3, NOW_MS, services=12, users=40))[::7]
    async with living(config) as life:
        for start in range(0, len(events), 100):
            await life.engine.accept(batch(*events[start : start + 100]))
    found = recover(replace(config, shards=shards))
    found.journal.close()
    assert found.report.replayed_events == 0
    texts = texts_of(found.sequencing, found.states)
    assert {"pdf-toolkit", "creator-06", "sign documents", "Two steps"} <= set(texts)
    twice = {text for text, count in Counter(texts).items() if count > 1}
    assert not twice
