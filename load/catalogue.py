"""The services, creators and searches that the demonstration marketplace is made of."""

from typing import Final, NamedTuple

from load.extent import SERVICES_MAX


class Service(NamedTuple):
    """One service on offer.

    median_ms       of its latency, which is lognormal with `sigma`
    tail_percent    share of calls that take 5 to 40 times as long
    errors_percent  share of calls that fail on a usual day
    price           of one purchase, or of one month of subscription, in CURRENCY
    """

    service_id: str
    name: str
    category: str
    median_ms: float
    sigma: float
    tail_percent: float
    errors_percent: float
    price: float
    take_percent: float
    creator_id: str


CURRENCY: Final = "USD"
"""Of every price: a newcomer's totals need no exchange rate."""

# name, category, median ms, sigma, tail %, errors %, price
_TABLE: Final = (
    ("Image Generator", "ai-ml", 2400, 0.45, 1.5, 1.2, 19.0),
    ("Text Summarizer", "ai-ml", 640, 0.40, 0.5, 0.6, 12.0),
    ("Speech to Text", "ai-ml", 1800, 0.50, 1.0, 0.9, 24.0),
    ("Translation Hub", "ai-ml", 310, 0.35, 0.2, 0.4, 15.0),
    ("Sentiment Scanner", "ai-ml", 140, 0.30, 0.1, 0.3, 9.0),
    ("Background Remover", "ai-ml", 900, 0.40, 0.8, 0.8, 7.5),
    ("Document Q&A", "ai-ml", 1500, 0.55, 2.0, 1.4, 29.0),
    ("Code Reviewer", "ai-ml", 3200, 0.60, 2.5, 1.6, 39.0),
    ("Invoice Parser", "documents", 780, 0.35, 0.4, 1.1, 29.0),
    ("PDF Toolkit", "documents", 220, 0.45, 0.6, 0.5, 6.0),
    ("Contract Analyzer", "documents", 2100, 0.50, 1.2, 0.9, 59.0),
    ("E-Signature", "documents", 180, 0.30, 0.1, 0.2, 14.0),
    ("OCR Engine", "documents", 560, 0.50, 1.0, 1.3, 11.0),
    ("Resume Builder", "documents", 260, 0.30, 0.1, 0.3, 8.0),
    ("Web Scraper", "data", 1300, 0.85, 4.0, 4.5, 25.0),
    ("CSV Cleaner", "data", 120, 0.40, 0.2, 0.4, 5.0),
    ("Company Enrichment", "data", 420, 0.45, 0.7, 1.0, 49.0),
    ("Geocoder", "data", 65, 0.30, 0.3, 0.2, 10.0),
    ("Currency Rates", "data", 38, 0.25, 0.1, 0.1, 4.0),
    ("Weather Feed", "data", 55, 0.30, 0.2, 0.2, 6.0),
    ("Address Check", "data", 90, 0.35, 0.3, 0.5, 12.0),
    ("Email Sender", "messaging", 110, 0.40, 0.4, 0.6, 15.0),
    ("SMS Gateway", "messaging", 240, 0.45, 1.5, 1.5, 20.0),
    ("Push Notifier", "messaging", 70, 0.30, 0.2, 0.3, 9.0),
    ("Chat Widget", "messaging", 48, 0.30, 0.1, 0.2, 18.0),
    ("Newsletter Studio", "messaging", 330, 0.40, 0.3, 0.4, 22.0),
    ("Card Payments", "payments", 380, 0.35, 0.6, 1.8, 35.0),
    ("Fraud Score", "payments", 95, 0.30, 0.2, 0.3, 45.0),
    ("Tax Calculator", "payments", 60, 0.25, 0.1, 0.2, 16.0),
    ("Subscription Billing", "payments", 210, 0.35, 0.3, 0.5, 49.0),
    ("Payout Router", "payments", 520, 0.45, 0.8, 1.0, 30.0),
    ("Video Transcoder", "media", 7800, 0.70, 3.0, 2.2, 35.0),
    ("Thumbnail Maker", "media", 340, 0.40, 0.4, 0.5, 6.0),
    ("Audio Cleaner", "media", 2900, 0.50, 1.0, 0.8, 18.0),
    ("Subtitle Writer", "media", 4100, 0.55, 1.5, 1.1, 21.0),
    ("Image Resizer", "media", 85, 0.35, 0.2, 0.2, 5.0),
    ("Uptime Monitor", "developer", 150, 0.60, 1.5, 0.7, 12.0),
    ("Log Search", "developer", 480, 0.65, 2.0, 0.9, 39.0),
    ("Webhook Relay", "developer", 42, 0.40, 0.8, 0.6, 10.0),
    ("Feature Flags", "developer", 18, 0.25, 0.1, 0.1, 20.0),
)

assert len(_TABLE) == SERVICES_MAX
_TAKES_PERCENT: Final = (15.0, 15.0, 20.0, 10.0, 12.5)
_CREATORS: Final = 24

SERVICES: Final = tuple(
    Service(
        service_id=name.lower().replace(" ", "-").replace("&", "and"),
        name=name,
        category=category,
        median_ms=float(median_ms),
        sigma=sigma,
        tail_percent=tail_percent,
        errors_percent=errors_percent,
        price=price,
        take_percent=_TAKES_PERCENT[number % len(_TAKES_PERCENT)],
        creator_id=f"creator-{number * 7 % _CREATORS + 1:02}",
    )
    for number, (
        name,
        category,
        median_ms,
        sigma,
        tail_percent,
        errors_percent,
        price,
    ) in enumerate(_TABLE)
)

SLOWED: Final = "log-search"
"""Twice as slow in the last five days."""

FAILING: Final = "sms-gateway"
"""Had an incident in the days before today."""

SEARCHES: Final = {
    "ai-ml": ("image generation", "summarize text", "speech to text", "translate", "chatbot"),
    "documents": ("invoice parser", "pdf merge", "contract review", "ocr", "sign documents"),
    "data": ("web scraping", "clean csv", "company data", "geocoding", "exchange rates"),
    "messaging": ("send email", "sms api", "push notifications", "live chat", "newsletter"),
    "payments": ("accept cards", "fraud detection", "sales tax", "subscriptions", "payouts"),
    "media": ("video transcoding", "thumbnails", "remove noise", "subtitles", "resize images"),
    "developer": ("uptime", "log search", "webhooks", "feature flags", "cron jobs"),
}
"""What people look for, by the category in which they find it."""

FRUITLESS: Final = (
    "blockchain oracle",
    "fax to email",
    "3d printing",
    "minecraft server",
    "crystal ball",
)
"""What people look for and nobody offers."""
