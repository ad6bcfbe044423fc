"""Sends events to Tallymark: in the background, each one once, and never in the way.

with Tallymark("http://127.0.0.1:8080") as t:
    t.track_service_execution(service_id="resize", latency_ms=12.5, success=True)
"""

from tallymark_client.asgi import TallymarkMiddleware
from tallymark_client.client import Tallymark
from tallymark_client.outbox import Drop, Stats

__all__ = ["Drop", "Stats", "Tallymark", "TallymarkMiddleware"]
