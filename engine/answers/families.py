"""The metric families: the parameters of their questions, and the types of their answers."""

from typing import Any, Final

from engine.answers import experiments, marketplace, revenue, services, users
from engine.answers.common import PeriodAsked
from engine.period import must_be_time
from engine.timebucket import zone_info

FAMILIES: Final[dict[str, tuple[type[PeriodAsked], Any]]] = {
    "services": (services.Asked, services.Answer),
    "revenue": (revenue.Asked, revenue.Answer),
    "marketplace": (marketplace.Asked, marketplace.Answer),
    "experiments": (experiments.Asked, experiments.Answer),
    "users": (users.Asked, users.Answer),
}
"""{family: (its parameters, its answer)}"""


def must_be_answerable(asked: PeriodAsked) -> None:
    """Refuse what its route refuses whenever it is asked. Raises InvalidQuestion.

    That a period is too long, or lies in the future, may be over one day; of that nothing is
    said here.
    """
    zone = "UTC" if asked.timezone is None else asked.timezone
    zone_info(zone)
    for parameter, text in (("startDate", asked.start_date), ("endDate", asked.end_date)):
        if text is not None:
            must_be_time(parameter, text, zone)
    match asked:
        case services.Asked():
            services.must_know_the_sort(asked)
        case users.Asked():
            users.must_be_by_days(asked)
