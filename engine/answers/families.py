"""The metric families: for each, the parameters of its question and the type of its answer."""

from typing import Any, Final

from engine.answers import experiments, marketplace, revenue, services, users
from engine.answers.common import PeriodAsked

FAMILIES: Final[dict[str, tuple[type[PeriodAsked], Any]]] = {
    "services": (services.Asked, services.Answer),
    "revenue": (revenue.Asked, revenue.Answer),
    "marketplace": (marketplace.Asked, marketplace.Answer),
    "experiments": (experiments.Asked, experiments.Answer),
    "users": (users.Asked, users.Answer),
}
"""{family: (its parameters, its answer)}"""
