"""All limits and choices of a server, each with its unit, its range and its default.

`docs/configuration.md` is the same list for the operator; `engine.resolving` says where the
values come from, and checks them against each other.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

KIB: Final = 1024
MIB: Final = 1024 * KIB

Positive: TypeAlias = Annotated[int, Meta(ge=1, le=2**40)]
RECORD_EVENTS_MAX: Final = 100_000
RECORD_BODIES_BYTES_MAX: Final = 32 * MIB
"""What one record of the journal may hold; persistence/record.py holds these to its format."""

RecordBytes: TypeAlias = Annotated[int, Meta(ge=1, le=RECORD_BODIES_BYTES_MAX)]
Currency: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]


class Config(Struct, frozen=True, kw_only=True):
    """Every setting of a server, with its unit in its name.

    One made by `engine.resolving.resolve` is in range and consistent; others are not checked.
    """

    # Where it runs
    data: Path = Path("data")
    """Folder of the journal, snapshots and archive; made when absent, for one process alone."""
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    """Address to listen on; one beyond loopback needs keys, or `allow_public`."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    """TCP port to listen on; 0 takes a free one and logs which."""
    allow_public: bool = False
    """Listen beyond loopback without keys: whoever reaches the port can do everything."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the Host header may carry besides 127.0.0.1, [::1] and localhost."""
    keys_file: str = ""
    """File of keys, one a line, besides those of `tallymark keys`; its owner's alone (0600)."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read answers, with a key; any origin may send events."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose X-Forwarded-For and -Proto are believed."""
    certfile: str = ""
    """File of the TLS certificate and its chain; given, the service speaks HTTPS and HTTP/2."""
    keyfile: str = ""
    """File of the certificate's private key."""
    durability: Literal["fsync", "write", "none"] = "fsync"
    """What an acknowledgement waits for: the disk, the operating system, or nothing."""
    shards: Annotated[int, Meta(ge=1, le=64)] = 8
    """Tasks that share the counting; may change at a restart."""
    embed_ancestors: tuple[str, ...] = ()
    """Origins whose pages may frame a shared dashboard, such as https://shop.example."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that is logged."""
    log_format: Literal["console", "json"] = "console"
    """Lines for people, or one JSON object a line."""

    pseudonymise: bool = False
    """Keep a keyed hash in place of each userId and sessionId, from the first event on."""

    # What the figures mean
    timezone: str = "UTC"
    """IANA zone in which hours and days are cut; chosen once for a data folder."""
    reporting_currency: Currency = "USD"
    """ISO 4217 currency of figures that are not split by currency."""
    currency_rates: dict[Currency, Decimal] = msgspec.field(default_factory=dict)
    """Units of the reporting currency for one unit of another: `{EUR = 1.08}`."""

    # How long it is kept
    keep_hours_days: Annotated[int, Meta(ge=1, le=3_660)] = 8
    """Days for which figures are kept by the hour."""
    keep_days: Annotated[int, Meta(ge=1, le=3_660)] = 400
    """Days for which figures are kept by the day; an older event is refused."""
    archive: bool = True
    """Write every event to the archive of Parquet files, in a process beside the server."""
    raw_keep_days: Annotated[int, Meta(ge=1, le=3_660)] = 90
    """Days for which the archive keeps single events; an older one is counted, not archived."""
    thin_above_per_s: Positive = 100_000
    """Events of one index key in a second above which the archive keeps a sample of them."""
    archive_backlog_bytes_max: Positive = 8192 * MIB
    """Bytes of journal kept for an archive that lags; beyond it events go unarchived."""
    archive_grace_s: Annotated[int, Meta(ge=0, le=3_600)] = 60
    """Seconds for which a merged file stays on disk: a query may have been given its name."""
    snapshot_interval_s: Positive = 60
    """Seconds between snapshots; what came after the last one is replayed at a start."""
    segment_bytes_max: Annotated[int, Meta(ge=4 * KIB, le=1024 * MIB)] = 64 * MIB
    """Bytes of a journal file before the next one is begun."""

    # Limits of one request
    batch_events_max: Positive = 25
    """Events in one POST /track/batch."""
    body_bytes_max: RecordBytes = MIB
    """Bytes of one request's body, unpacked."""
    bulk_events_max: Positive = 10_000
    """Events in one POST /track/bulk."""
    bulk_bytes_max: Annotated[int, Meta(ge=1, le=32 * MIB)] = 16 * MIB
    """Bytes of the body of one POST /track/bulk, packed and unpacked."""
    bulk_line_bytes_max: Positive = 256 * KIB
    """Bytes of one line of it; a line is decoded without a pause."""
    event_text_bytes_max: Positive = 16 * KIB
    """Bytes of UTF-8 in all texts of one event together."""
    future_ms_max: Annotated[int, Meta(ge=0, le=86_400_000)] = 300_000
    """Milliseconds by which a client's clock may be ahead."""
    body_deadline_s: Positive = 30
    """Seconds in which a body must have arrived whole."""
    bodies_bytes_max: Positive = 256 * MIB
    """Bytes of all bodies received and not answered yet; beyond it 503 with Retry-After."""
    answers_bytes_max: Positive = 256 * MIB
    """Bytes of answers that clients have not read yet; beyond it 503 with Retry-After."""
    connections_max: Positive = 10_000
    """Open connections, fewer where few files may be open; beyond it 503 with Retry-After."""
    stream_subscribers_max: Positive = 5_000
    """Open GET /stream connections."""
    stop_deadline_s: Positive = 10
    """Seconds that a clean stop may take before what is left is cancelled."""

    # Rate limits
    key_events_per_s_max: Annotated[int, Meta(ge=0, le=2**30)] = 0
    """Events a second that one key may send; beyond it 429. 0: as many as it likes."""
    address_events_per_s_max: Annotated[int, Meta(ge=0, le=2**30)] = 0
    """Events a second that may come from one address, or one /64 of IPv6; 0: any number."""
    key_requests_per_s_max: Annotated[int, Meta(ge=0, le=2**30)] = 0
    """Requests a second other than events with one key; beyond it 429. 0: any number."""
    address_requests_per_s_max: Annotated[int, Meta(ge=0, le=2**30)] = 0
    """Requests a second other than events from one address, or /64 of IPv6; 0: any number."""
    rate_burst_s: Annotated[int, Meta(ge=1, le=3_600)] = 10
    """Seconds of these four rates that may be used at once after a quiet time."""
    failed_keys_per_minute_max: Annotated[int, Meta(ge=1, le=2**20)] = 20
    """Wrong keys a minute from one address; beyond it a wrong key gets 429 instead of 401."""

    # Load runs
    load_hooks: bool = False
    """Whether /load/runs may put synthetic load on this process."""
    load_rate_max: Positive = 50_000
    """Events a second that a load run may send at its highest."""
    load_duration_s_max: Positive = 600
    """Seconds that a load run may last."""

    # Dashboards and names
    dashboards_max: Positive = 500
    """Dashboards that may be kept."""
    dashboard_widgets_max: Positive = 50
    """Widgets of one dashboard."""
    dashboard_bytes_max: Positive = 64 * KIB
    """Bytes of one dashboard as JSON."""
    embed_query_keep_s: Positive = 10
    """Seconds for which the rows of a shared dashboard's query serve everybody who looks."""
    catalog_entries_max: Positive = 100_000
    """Services and experiments that may be named in the catalog."""
    db_url: str = ""
    """Where names of services come from: an http(s) address with {id} in it; empty: nowhere."""
    db_ttl_s: Positive = 3_600
    """Seconds for which a name from `db_url`, or that it has none, is believed."""
    db_timeout_ms: Positive = 2_000
    """Milliseconds that one answer of `db_url` may take."""
    db_names_max: Positive = 10_000
    """Names from `db_url` that are remembered, and that may wait to be looked up."""

    # Queues
    queue_events_max: Positive = 50_000
    """Events accepted and not yet in the journal; beyond it 503 with Retry-After."""
    queue_bytes_max: Positive = 64 * MIB
    """Bytes of bodies accepted and not yet in the journal; beyond it 503 with Retry-After."""
    group_events_max: Annotated[int, Meta(ge=1, le=RECORD_EVENTS_MAX)] = 4_096
    """Events after which no further batch joins a group (one write, one fsync)."""
    group_bytes_max: RecordBytes = 512 * KIB
    """Bytes after which no further batch joins a group."""
    bulk_room_bytes_max: Positive = 64 * MIB
    """Bytes of POST /track/bulk that are unpacked and not yet in the journal; beyond it 503."""
    inbox_groups_max: Positive = 64
    """Messages that wait for one shard; full means that the sequencer waits."""
    slice_ms_max: Annotated[int, Meta(ge=1, le=1_000)] = 3
    """Milliseconds for which a long answer may hold up everything else."""

    # Limits of one SQL query
    sql_table: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$(?!\n)")] = "events"
    """The name of the table of events, and what its column `dataset` says."""
    sql_workers: Annotated[int, Meta(ge=1, le=64)] = 2
    """Queries that run at the same time, each in a process of its own."""
    sql_threads: Annotated[int, Meta(ge=1, le=64)] = 2
    """Threads of one query."""
    sql_queue_max: Positive = 32
    """Queries that wait for a process; beyond it 429."""
    sql_deadline_s: Positive = 10
    """Seconds after which a query is ended."""
    sql_text_bytes_max: Annotated[int, Meta(ge=1, le=MIB)] = 16 * KIB
    """Bytes of the text of one query."""
    sql_rows_max: Positive = 1_000_000
    """Rows of one answer."""
    sql_answer_bytes_max: Positive = 64 * MIB
    """Bytes of one answer."""
    sql_memory_bytes_max: Annotated[int, Meta(ge=64 * MIB, le=2**40)] = 512 * MIB
    """Bytes that one query may use for its work."""

    # Limits of one export of events
    exports_max: Annotated[int, Meta(ge=1, le=64)] = 2
    """Exports of events at the same time, each with a process of its own; beyond it 429."""
    export_deadline_s: Positive = 900
    """Seconds after which an export of events is cut short."""
    export_memory_bytes_max: Annotated[int, Meta(ge=64 * MIB, le=2**40)] = 128 * MIB
    """Bytes that one export of events may use; more where most events have long texts."""

    # Reports: exports made in the background
    reports_running_max: Annotated[int, Meta(ge=1, le=16)] = 2
    """Reports that are made at the same time; the others wait in line."""
    reports_max: Positive = 200
    """Reports that are kept, those in line among them; beyond it 409."""
    reports_per_owner_max: Positive = 50
    """Reports of one key, or of all who have none; beyond it 409."""
    report_deadline_s: Positive = 3_600
    """Seconds after which the making of a report is given up."""
    report_keep_hours: Positive = 24
    """Hours for which a report is kept once it is done or has failed."""
    report_bytes_max: Positive = 1024 * MIB
    """Bytes of the file of one report."""
    reports_bytes_max: Positive = 4 * 1024 * MIB
    """Bytes of the files of all reports together."""

    # How much is remembered
    dedupe_ids_max: Positive = 10_000_000
    """Event ids remembered to drop duplicates; 15 to 17 bytes each."""
    dedupe_days: Annotated[int, Meta(ge=1, le=3_660)] = 7
    """Days of received time for which an event id is remembered."""
    services_max: Positive = 100_000
    """Services with figures of their own; later ones count in `__other__`."""
    creators_max: Positive = 100_000
    """Creators with figures of their own; later ones count in `__other__`."""
    experiments_max: Positive = 10_000
    """Experiments with figures of their own; later ones count in `__other__`."""
    categories_max: Positive = 1_000
    """Categories with figures of their own; later ones count in `__other__`."""
    service_categories_max: Positive = 64
    """Categories counted separately within one service; later ones count in `__other__`."""
    service_error_codes_max: Positive = 100
    """Error codes counted separately within one service; later ones count in `__other__`."""
    search_terms_per_day_max: Positive = 10_000
    """Search terms counted separately within one day; later ones count in `__other__`."""
    subscriptions_max: Positive = 1_000_000
    """Subscriptions whose last payment is remembered for the recurring revenue."""
    users_exact_max: Positive = 1_000_000
    """Users up to which cohorts are exact; beyond it a uniform sample of this size."""
    erasures_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    """People who can be in the course of being erased at the same time; beyond it 503."""
    experiment_units_max: Positive = 1_000_000
    """Units of one experiment up to which it is exact; beyond it a sample of this size."""
