"""Watching the service: structured logs and metrics, neither with personal data."""

from roadworthy.telemetry import metrics
from roadworthy.telemetry.logs import configure_logs, finish_notes, log_request, note
from roadworthy.telemetry.shared import take as take_place

__all__ = ["configure_logs", "finish_notes", "log_request", "metrics", "note", "take_place"]
