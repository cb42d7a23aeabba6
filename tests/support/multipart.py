"""Bodies of `multipart/form-data` (RFC 7578), written by hand."""

from collections.abc import Iterable
from dataclasses import dataclass

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


@dataclass(frozen=True)
class Part:
    name: str | None
    content: str | bytes
    filename: str | None = None
    content_type: str | None = None

    def encode(self) -> bytes:
        disposition = "form-data"
        if self.name is not None:
            disposition += f'; name="{_quoted(self.name)}"'
        if self.filename is not None:
            disposition += f'; filename="{_quoted(self.filename)}"'
        lines = [f"Content-Disposition: {disposition}"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        content = self.content.encode() if isinstance(self.content, str) else self.content
        return "\r\n".join([*lines, "", ""]).encode() + content


def multipart(parts: Iterable[Part], boundary: str = BOUNDARY) -> bytes:
    opened = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part.encode()) for part in parts)
    return opened + b"--%s--\r\n" % boundary.encode()


def _quoted(text: str) -> str:
    """As browsers do (HTML, multipart/form-data encoding algorithm)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
