"""What documents refer to: whether it is elsewhere, and what following it does."""

import re
from urllib.parse import unquote

_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]+):(.*)", re.IGNORECASE | re.DOTALL)
_LOCAL_FILE = re.compile(r"/{0,3}[a-z][:|](?:/|$)|(?:/|///)?(?!/)", re.IGNORECASE)
_NOWHERE = "cid"
"""Of the mail that it was once part of (RFC 2392)."""

_FIELD = re.compile(
    r"\s*(?:(?P<picture>INCLUDEPICTURE)|INCLUDE(?:TEXT)?|IMPORT|LINK|RD)\b(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_WORDS = re.compile(r'"([^"]*)|([^\s"]+)')
_NOT_KEPT = re.compile(r"\\d\b", re.IGNORECASE)

# Office's own of `ms-` open a document, as a link to it does.
_SCRIPT = re.compile(
    r"(?:javascript|vbscript|vnd\.sun\.star\.(?:script|expand)|search(?:-ms)?|shell|jar"
    r"|view-source|ms-(?!word:|excel:|powerpoint:)[\w.\-]+):|macro:/|data:text/html",
    re.IGNORECASE,
)
# Not `.com`: editors make a file of an address that somebody wrote without its scheme.
_PROGRAM = re.compile(
    r"(?:file:|[a-z]:/|//).*\.(?:app|application|appref-ms|bat|chm|cmd|command|cpl|desktop|exe"
    r"|hta|iso|jar|jse?|library-ms|lnk|msc|msi|msix|pif|ps1|py|reg|scf|scr|settingcontent-ms|sh|url"
    r"|vb|vbe|vbs|wsf|wsh)[. ]*(?:[:?#].*)?",
    re.IGNORECASE | re.DOTALL,
)


def reaches_out(target: str) -> bool:
    """Whether who opens what `target` names asks another machine for it.

    A template in a folder of the author's computer is nowhere to be found, and harmless.
    """
    target = _plain(target)
    named = _SCHEME.fullmatch(target)
    if not named:
        return target.startswith("//")
    scheme, rest = named.groups()
    if scheme.casefold() == "file":
        return not _LOCAL_FILE.match(rest)
    return scheme.casefold() != _NOWHERE


def field_reaches_out(instruction: str) -> bool:
    """Whether the field of Word asks another machine (ECMA-376, part 1, 17.16.5).

    A picture that is kept in the document, as those pasted from the web are, is not asked for.
    """
    field = _FIELD.match(instruction)
    if not field or (field["picture"] and not _NOT_KEPT.search(field["rest"])):
        return False
    return any(reaches_out(quoted or bare) for quoted, bare in _WORDS.findall(field["rest"]))


def acts(target: str) -> bool:
    """Whether who follows a link to `target` runs something."""
    target = _plain(target)
    return bool(_SCRIPT.match(target) or _PROGRAM.fullmatch(target))


def _plain(target: str) -> str:
    """As those read it who pass over blanks and see `%5c` as the stroke it is."""
    seen = "".join(filter(str.isprintable, unquote(target)))
    return seen.replace(" ", "").replace("\\", "/")
