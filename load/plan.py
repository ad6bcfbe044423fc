"""A load run as asked for, and what that means for each of its processes."""

import secrets
from typing import Final

from msgspec import Struct

from load import profile
from load.connection import Target
from load.outcome import Options
from load.payload import TEMPLATE_EVENTS, Form
from load.profile import Profile
from load.schedule import due_before
from load.worker import Job

LABEL: Final = "load"
SEED: Final = 2025
TIMEOUT_S: Final = 30.0
DRAIN_S: Final = 5.0
SETTLE_S: Final = 10.0


class Plan(Struct, frozen=True, kw_only=True):
    """A run as asked for.

    rate_per_s     events a second, which the profile's phases multiply
    label          what everything that is sent is named by; two runs at once need two
    is_counted     ask the server for its counts before and after
    is_shared      others may write meanwhile: then counts without a label are bounds from below
    closed_loop    send whenever a connection is free; the rate means nothing
    route, form    where to post and how; None: as Tallymark takes a batch of that size
    """

    target: Target
    name: str
    profile: Profile
    rate_per_s: float
    duration_s: float
    batch: int
    connections: int
    processes: int = 1
    seed: int = SEED
    label: str = LABEL
    is_counted: bool = True
    is_shared: bool = False
    closed_loop: bool = False
    route: str | None = None
    form: Form | None = None
    timeout_s: float = TIMEOUT_S
    drain_s: float = DRAIN_S


def plan_of(
    target: Target,
    name: str,
    *,
    rate_per_s: float | None = None,
    duration_s: float | None = None,
    batch: int | None = None,
    connections: int | None = None,
) -> Plan:
    """A plan with what the profile says where nothing else is said; the rest may be replaced.

    Raises InvalidProfile.
    """
    found = profile.load(name)
    return Plan(
        target=target,
        name=name,
        profile=found,
        rate_per_s=rate_per_s or found.rate_per_s,
        duration_s=duration_s or found.duration_s,
        batch=batch or found.batch,
        connections=connections or found.connections,
    )


def jobs(plan: Plan) -> list[Job]:
    """What each sending process does of it, under ids that no other run has."""
    form = plan.form or Form.of(plan.batch)
    corners = profile.rates(plan.profile, plan.rate_per_s / plan.batch, plan.duration_s)
    share, rest = divmod(plan.connections, plan.processes)
    run = secrets.token_hex(4)
    templates = TEMPLATE_EVENTS // plan.batch
    if not plan.closed_loop:  # no more than can be used: the first of each is not the last
        templates = min(templates, int(due_before(corners, plan.duration_s) / plan.processes))
    return [
        Job(
            target=plan.target,
            run=run,
            label=plan.label,
            seed=plan.seed,
            data=plan.profile.data,
            batch=plan.batch,
            templates=templates,
            form=form,
            route=plan.route or form.route,
            corners=tuple(corners),
            arrivals=plan.profile.arrivals,
            closed_loop=plan.closed_loop,
            worker=number,
            workers=plan.processes,
            connections=share + (number < rest),
            timeout_s=plan.timeout_s,
            drain_s=plan.drain_s,
            settle_s=SETTLE_S,
        )
        for number in range(plan.processes)
    ]


def options_of(plan: Plan) -> Options:
    """How it was asked for, as the outcome tells."""
    return Options(
        profile=plan.name,
        target=plan.target.url,
        rate_per_s=plan.rate_per_s,
        duration_s=plan.duration_s,
        batch=plan.batch,
        connections=plan.connections,
        processes=plan.processes,
        seed=plan.seed,
        label=plan.label,
        shared=plan.is_shared,
    )
