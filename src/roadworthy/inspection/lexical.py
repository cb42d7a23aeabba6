"""How words of a PDF stand in its bytes (ISO 32000-1, 7.2 and 7.3.5), as patterns."""

WHITE = rb"[\0\t\n\f\r ]"
"""A pattern of white space (ISO 32000-1, 7.2.2). Comments may stand there too, and in no document
that we know do: what they would hide here is refused."""


def spelt(text: str) -> bytes:
    """A pattern of a name's letters, each of which may be written as `#` and its number."""
    letters = "".join(f"(?:{letter}|(?i:#{ord(letter):02x}))" for letter in text)
    return letters.encode()
