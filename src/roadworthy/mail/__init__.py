"""Mail, as work after the response: letters written when they are sent, by SMTP or to files."""

from roadworthy.mail.address import CannotBeAddressed, mailable
from roadworthy.mail.delivery import Deliver, Outbox, SMTPServer
from roadworthy.mail.letter import Letter
from roadworthy.mail.post import KIND, About, Post, Writer, enqueue_letter

__all__ = [
    "KIND",
    "About",
    "CannotBeAddressed",
    "Deliver",
    "Letter",
    "Outbox",
    "Post",
    "SMTPServer",
    "Writer",
    "enqueue_letter",
    "mailable",
]
