"""Pages and documents about the service: is it up, what does the API offer."""

from roadworthy.web.openapi import api_document
from roadworthy.web.routes import WebRoutes

__all__ = ["WebRoutes", "api_document"]
