"""Watching the service: structured logs and metrics, neither with personal data."""

from roadworthy.telemetry import metrics
from roadworthy.telemetry.logs import AccessLog, configure_logs

__all__ = ["AccessLog", "configure_logs", "metrics"]
