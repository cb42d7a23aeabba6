"""Pages for people, and documents about the service: is it up, what does the API offer."""

from roadworthy.web.account import AccountPages
from roadworthy.web.export import ExportPages
from roadworthy.web.openapi import api_document
from roadworthy.web.routes import WebRoutes

__all__ = ["AccountPages", "ExportPages", "WebRoutes", "api_document"]
