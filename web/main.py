"""The composition root: what a server is made of, in the order of its start and its stop."""

import os
import resource
import signal
import time
from functools import partial
from importlib.metadata import version
from typing import Final

import structlog
import trio
from msgspec.structs import replace

from engine.config import Config
from engine.errors import InvalidSetting, TallymarkError, UnusableFolder
from engine.resolving import ADMIN_KEY_VARIABLE
from persistence.files import REAL_DISK
from persistence.lock import hold
from persistence.recovery import Recovered, recover
from web import hosting, logs
from web.access import is_loopback
from web.app import create_app
from web.archiving import Archiving
from web.collecting import tune_collector
from web.control import Control
from web.forgetting import Forgetting
from web.lane import Lane
from web.raw import Raw
from web.service import LateEngine, engine_of
from web.sql import Sql

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

OTHER_FILES: Final = 256
"""Open files besides connections: segments, snapshots, what the libraries need."""

log = structlog.get_logger()


class StoppedLate(TallymarkError):
    """The stop took longer than it may: nothing is lost, the next start replays more."""

    title = "Stopped late"


def serve(config: Config) -> int:
    """Run a server until SIGTERM, SIGINT or SIGHUP; returns the exit code.

    Raises TallymarkError where it cannot start or stop as it should. A bug, which ends the
    process so that recovery can do its work, is logged, and the code is 1.
    """
    logs.set_up(config)
    admin_key = os.environ.pop(ADMIN_KEY_VARIABLE, "")  # no other process of ours needs it
    config = _with_files_to_spare(config)
    log.info(
        "starting",
        version=version("tallymark"),
        data=str(config.data),
        durability=config.durability,
        shards=config.shards,
        timezone=config.timezone,
        process=os.getpid(),
    )
    try:
        _make_folder(config)
        with hold(config.data):
            control = Control.open(config, now_ms=_now_ms, admin_key=admin_key)
            try:
                _must_not_be_exposed(config, control)
                trio.run(_live, config, control)
            finally:
                control.close()
    except (Exception, ExceptionGroup) as failure:
        cause = _only_cause(failure)
        if isinstance(cause, TallymarkError):
            raise cause from None
        log.critical("failed", exc_info=failure)
        return 1
    log.info("stopped")
    return 0


async def _live(config: Config, control: Control) -> None:
    """Start from the outside in, so that /ready can say "not yet"; stop in the same order."""
    stop = trio.Event()
    service = LateEngine(config)
    sql = Sql(config, service, log=_log_of_engine)
    app = create_app(service, config, control, sql)
    listeners = await hosting.listen(config.host, config.port)
    urls = [hosting.url_of(one, secure=bool(config.certfile)) for one in listeners]
    async with trio.open_nursery() as archive:
        with trio.CancelScope() as life:
            async with trio.open_nursery() as actors:
                async with trio.open_nursery() as doors:
                    await doors.start(_stop_at_signal, stop)
                    if config.archive:
                        await actors.start(sql.run)
                    await doors.start(
                        partial(
                            hosting.serve,
                            app,
                            config,
                            listeners,
                            stop=stop,
                            grace_s=config.stop_deadline_s / 2,
                            lane=Lane(
                                service, config, app.live, app.meter, app.gate, app.untaken
                            ),
                        )
                    )
                    for url in urls:
                        line = f"listening on {url}"
                        log.info(line)
                    recovered = await _recover(config, stop)
                    if recovered is not None:
                        service.archive = Archiving(config, log=_log_of_engine)
                        service.engine = engine_of(
                            config,
                            recovered,
                            log=_log_of_engine,
                            archived_seq=service.archive.trimmable_seq,
                            directory=control,
                            raw=_raw(config, sql, service.archive),
                        )
                        await actors.start(service.engine.run)
                        await archive.start(service.archive.run, service.engine)
                        service.forgetting = Forgetting(
                            service.engine,
                            service.archive,
                            drop_reports=app.reports.forget_people,
                            log=_log_of_engine,
                        )
                        await doors.start(service.forgetting.run, stop)
                        log.info("ready")
                    await stop.wait()
                    life.deadline = trio.current_time() + config.stop_deadline_s
                    app.end_streams()
                sql.stop()
                if service.engine is not None:  # all that was accepted is answered
                    service.engine.stop()
        if service.archive is not None:
            service.archive.stop()
    if life.cancelled_caught:
        raise StoppedLate(
            f"Stopping took longer than {config.stop_deadline_s} s and was cut short. Nothing "
            f"acknowledged is lost; the next start replays what the snapshot does not cover."
        )


def _raw(config: Config, sql: Sql, archive: Archiving) -> Raw | None:
    if not config.archive:
        return None
    return Raw(config, sql, now_ms=_now_ms, is_whole=archive.is_whole)


def _must_not_be_exposed(config: Config, control: Control) -> None:
    """Whoever can be reached by others asks them for a key. Raises InvalidSetting."""
    if is_loopback(config.host) or config.allow_public or control.keyring.gate.has_keys:
        return
    raise InvalidSetting(
        f"host: {config.host} can be reached from other machines, and there is no key to ask "
        f"for. Make one with `tallymark keys add --role admin --data {config.data}`, or listen "
        f"on 127.0.0.1, or say allow_public (--allow-public) if something in front of it keeps "
        f"strangers out."
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _recover(config: Config, stop: trio.Event) -> Recovered | None:
    """What the data folder holds, brought back in a thread; None when told to stop before."""
    recovered: Recovered | None = None
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            await stop.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(give_up)
        # Abandoned where it is cancelled: it has answered nobody, and its process ends with us.
        recovered = await trio.to_thread.run_sync(_bring_back, config, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()
    if recovered is not None:
        _log_recovery(recovered)
    return recovered


def _bring_back(config: Config) -> Recovered:
    tune_collector()
    try:
        recovered = recover(config)
    except OSError as error:
        raise _unusable(config, error) from error
    tune_collector()
    return recovered


def _log_recovery(recovered: Recovered) -> None:
    report, cut = recovered.report, recovered.journal.cut
    for skipped in report.skipped:
        log.warning("snapshot skipped", path=str(skipped.path), reason=skipped.reason)
    for mended in report.mended:
        log.warning("snapshot mended", path=str(mended.path), reason=mended.reason)
    if cut is not None:
        log.warning(
            "tail cut",
            path=str(cut.path),
            offset=cut.offset_bytes,
            bytes=cut.size_bytes,
            reason=cut.reason,
        )
    log.info(
        "recovered",
        snapshot_seq=report.snapshot_seq,
        replayed_events=report.replayed_events,
        last_seq=recovered.journal.last_seq,
        seconds=round(report.seconds, 3),
    )


def _log_of_engine(event: str, **facts: object) -> None:
    """Logs what the engine reports about itself; trouble says `failed` in its name."""
    write = log.warning if event.endswith("failed") else log.info
    write(event, **facts)


async def _stop_at_signal(
    stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Set `stop` at the first signal; another than SIGHUP then ends the process on the spot."""
    hangs_up = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN  # under nohup it is ignored
    with trio.open_signal_receiver(*SIGNALS, *[signal.SIGHUP] * hangs_up) as received:
        task_status.started()
        first = await anext(received)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # the system does it, whatever hangs in here
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # of a closed terminal two may come
    log.info("stopping", signal=signal.Signals(first).name)
    stop.set()


def _make_folder(config: Config) -> None:
    try:
        REAL_DISK.make_folder(config.data)
    except OSError as error:
        raise _unusable(config, error) from error


def _unusable(config: Config, error: OSError) -> UnusableFolder:
    return UnusableFolder(error.filename or config.data, error)


def _only_cause(failure: BaseException) -> BaseException:
    """What stands at the heart of groups of one."""
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure


def _with_files_to_spare(config: Config) -> Config:
    """The same with fewer connections, where the system does not allow as many open files:
    whoever connects must not take those that the service needs to live."""
    needed = config.connections_max + OTHER_FILES
    limit = _raise_file_limit(needed)
    if limit >= needed:
        return config
    connections_max = max(limit - OTHER_FILES, limit // 2)
    log.warning(
        "few open files allowed", limit=limit, needed=needed, connections_max=connections_max
    )
    return replace(config, connections_max=connections_max)


def _raise_file_limit(needed: int) -> int:
    """How many open files there may be: `needed`, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
