"""What is counted and timed, for Prometheus; labels are short closed lists, never customers."""

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

RUNS = Counter("hub_runs_total", "Finished runs.", ["outcome"])
ITEMS = Counter("hub_items_total", "Documents handled.", ["outcome"])
VENDOR_CALLS = Counter("hub_vendor_calls_total", "Calls to packages.", ["connector", "result"])
VENDOR_SECONDS = Histogram(
    "hub_vendor_call_seconds",
    "Duration of calls to packages.",
    ["connector"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE_LAG_SECONDS = Gauge("hub_queue_lag_seconds", "How late the oldest due combi is.")
SLOT_LATENESS_SECONDS = Histogram(
    "hub_slot_lateness_seconds",
    "Real start minus planned start.",
    buckets=(1, 5, 15, 30, 60, 120, 300, 900, 3600),
)
API_SECONDS = Histogram(
    "hub_api_seconds",
    "Duration of API requests; route is the template, as /v1/combis/{id}.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def exposition() -> tuple[bytes, str]:
    """Give all metrics in the text format of Prometheus, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
