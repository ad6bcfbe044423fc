"""A small server that counts what it is sent, and may lie about it in one way or another."""

from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

from load.tally import Tally, tally_of

Said = tuple[int, dict[str, str], dict[str, Any]] | None


class Counting:
    """A script for `serving`: takes events as Tallymark does, and answers for them.

    loses, doubles  numbers of posts of which it acknowledges all, and forgets or doubles the
                    first event
    refuses         numbers of posts that it refuses with 503
    cuts            numbers of posts that it takes, and whose acknowledgement it does not send
    drops           numbers of posts that it neither takes nor answers
    """

    def __init__(self, **faults: set[int]) -> None:
        self.posts = 0
        self.counted: dict[str, Tally] = {}
        self._faults = faults
        self._ids: set[str] = set()
        self._duplicates = 0

    def __call__(self, _: int, said: Any) -> Said:
        if isinstance(said, str):
            return 200, {}, self._answer(said)
        self.posts += 1
        if self._is(self.posts, "refuses"):
            return 503, {}, {"title": "Overloaded", "detail": "The queue is full."}
        if self._is(self.posts, "drops"):
            return None
        self._take(said, said[0])
        return None if self._is(self.posts, "cuts") else (200, {}, {"success": True})

    def _is(self, number: int, fault: str) -> bool:
        return number in self._faults.get(fault, set())

    def _take(self, events: list[dict[str, Any]], first: dict[str, Any]) -> None:
        for event in events:
            if event["eventId"] in self._ids:
                self._duplicates += 1
                continue
            self._ids.add(event["eventId"])
            if event is first and self._is(self.posts, "loses"):
                continue
            repeats = 2 if event is first and self._is(self.posts, "doubles") else 1
            self._count([event] * repeats)

    def _count(self, events: list[dict[str, Any]]) -> None:
        for name in ("category", "creatorId", "experimentId", "eventType"):
            self.counted.setdefault(events[0].get(name, ""), Tally()).update(tally_of(events))

    @property
    def all(self) -> Tally:
        """Everything that was counted."""
        kinds = ("service_execution", "user_session", "marketplace_search", "marketplace_view")
        kinds += ("marketplace_conversion", "revenue_transaction", "experiment_view")
        whole: Counter[str] = Counter()
        for kind in (*kinds, "experiment_conversion"):
            whole.update(self.counted.get(kind, {}))
        return whole

    def _answer(self, target: str) -> dict[str, Any]:
        parts = urlsplit(target)
        asked = {name: texts[0] for name, texts in parse_qs(parts.query).items()}
        key = next(
            (asked[n] for n in ("category", "creatorId", "experimentId") if n in asked), ""
        )
        of = self.counted.get(key, Tally())
        match parts.path:
            case "/metrics/services":
                errors = {"TIMEOUT": of["failed executions"]}
                return {"total": {"executions": of["executions"], "errors": errors}}
            case "/metrics/marketplace":
                return {
                    "data": {name: of[name] for name in ("searches", "views", "conversions")}
                }
            case "/metrics/revenue":
                sales = {"transactionCount": of["transactions"], "gmv": of["cents"] / 100}
                return {"data": {"byCurrency": {"USD": sales}}}
            case "/metrics/experiments":
                names = {"views": "experiment views", "conversions": "experiment conversions"}
                variant = {name: of[figure] for name, figure in names.items()}
                return {"data": [{"variants": [variant]}]}
            case "/metrics/users":
                return {"data": {"sessions": self.all["sessions"]}}
        events = self.all["events"] + self._duplicates
        return {"events": events, "duplicates": self._duplicates}
