"""The examples with which the service was asked for: an event of each kind, and answers."""

from typing import Any

EVENTS: list[dict[str, Any]] = [
    {
        "eventType": "service_execution",
        "serviceId": "service-123",
        "latencyMs": 245,
        "success": True,
        "userId": "user-456",
        "sessionId": "session-789",
    },
    {
        "eventType": "revenue_transaction",
        "orderId": "ord_123",
        "serviceId": "service-456",
        "amount": 100.00,
        "currency": "USD",
        "takeRate": 15,
        "creatorId": "creator-789",
        "userId": "user-456",
    },
    {
        "eventType": "marketplace_search",
        "searchQuery": "image generation",
        "category": "ai-ml",
        "sessionId": "session-789",
    },
    {
        "eventType": "marketplace_view",
        "serviceId": "service-123",
        "category": "ai-ml",
        "sessionId": "session-789",
    },
    {
        "eventType": "marketplace_conversion",
        "serviceId": "service-123",
        "category": "ai-ml",
        "orderId": "ord-456",
        "userId": "user-456",
        "sessionId": "session-789",
    },
    {
        "eventType": "experiment_view",
        "experimentId": "pricing-test",
        "variantIndex": 1,
        "sessionId": "session-789",
    },
    {
        "eventType": "experiment_conversion",
        "experimentId": "pricing-test",
        "variantIndex": 1,
        "sessionId": "session-789",
        "userId": "user-456",
    },
    {
        "eventType": "user_session",
        "userId": "user-456",
        "sessionId": "session-789",
        "duration": 180000,
        "cohort": "2025-10",
    },
]

ANSWERS: dict[tuple[str, str], Any] = {
    ("POST", "/track"): {"success": True},
    ("POST", "/track/batch"): {"success": True, "count": 2},
    ("GET", "/metrics/services"): {
        "data": [
            {
                "serviceId": "service-123",
                "serviceName": "Image Generator",
                "executions": 1234,
                "latency": {"p50": 120, "p95": 340, "p99": 580, "avg": 165},
                "errorRate": 0.5,
                "successRate": 99.5,
                "period": "2025-10-01 to 2025-10-03",
            }
        ]
    },
    ("GET", "/metrics/revenue"): {
        "data": {
            "gmv": 125000.00,
            "mrr": 42000.00,
            "takeRate": 15,
            "creatorEarnings": 106250.00,
            "transactionCount": 1250,
            "avgOrderValue": 100.00,
            "period": "2025-10-01 to 2025-10-31",
        }
    },
    ("GET", "/metrics/marketplace"): {
        "data": {
            "searches": 5000,
            "views": 12000,
            "conversions": 1200,
            "conversionRate": 10.0,
            "topServices": [{"id": "service-123", "name": "Image Generator", "views": 2000}],
            "topCategories": [{"category": "ai-ml", "views": 5000}],
            "period": "2025-10-01 to 2025-10-07",
        }
    },
    ("GET", "/metrics/experiments"): {
        "data": [
            {
                "experimentId": "pricing-test",
                "experimentName": "Pricing Tiers",
                "variants": [
                    {
                        "index": 0,
                        "name": "Variant A",
                        "views": 1000,
                        "conversions": 100,
                        "conversionRate": 10.0,
                    }
                ],
                "winner": 1,
                "confidence": 95,
                "period": "2025-10-01 to 2025-10-03",
            }
        ]
    },
    ("GET", "/metrics/users"): {
        "data": {
            "dau": 500,
            "mau": 5000,
            "retention": {"day1": 45.0, "day7": 30.0, "day30": 20.0},
            "avgSessionDuration": 180000,
            "churnRate": 5.0,
            "period": "2025-10-01 to 2025-10-31",
        }
    },
}
