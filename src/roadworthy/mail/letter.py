"""A letter: what it says, and the message it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from textwrap import fill

from roadworthy.mail.address import mailable
from roadworthy.templates import templates_of

_COLUMNS = 72

_POLICY = SMTP.clone(max_line_length=900)  # a link stays on one line, for who reads the file


@dataclass(frozen=True)
class Letter:
    """`link` is a URL that stands alone between the paragraphs and what is said `after` it."""

    to: str
    subject: str
    paragraphs: tuple[str, ...]
    link: str | None = None
    link_text: str = ""
    after: tuple[str, ...] = ()


def message_of(letter: Letter, sender: Address, name: str, written_at: datetime) -> EmailMessage:
    """The message, in plain text and in HTML. Raises `CannotBeAddressed`.

    `name` tells it from every other: who gets it twice can see that it is the same.
    """
    to = mailable(letter.to)
    message = EmailMessage(policy=_POLICY.clone(utf8=not to.isascii()))
    message["From"] = sender
    message["To"] = to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(written_at)
    message["Message-ID"] = f"<{name}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    message.set_content(_rendered("letter.txt", letter))
    message.add_alternative(_rendered("letter.html", letter), subtype="html")
    return message


def _rendered(template: str, letter: Letter) -> str:
    values: Mapping[str, object] = {"letter": letter}
    return _LETTERS.get_template(template).render(values)


_LETTERS = templates_of("roadworthy.mail", ends_with_newline=True)
_LETTERS.filters["fill"] = lambda text: fill(text, _COLUMNS, break_long_words=False)
