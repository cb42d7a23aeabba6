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
    r"(?:javascript|livescript|mocha|vbscript|vnd\.sun\.star\.(?:script|expand)|search(?:-ms)?|shell"
    r"|jar|view-source|data|feed|url|mk|res|ssh|ms-(?!word:|excel:|powerpoint:)[\w.\-]+):|macro:/",
    re.IGNORECASE,
)
# Not `.com`, and without a scheme nothing that is a domain's end too: editors make a file of an
# address that somebody wrote without its scheme.
_PROGRAMS = (
    "bat|chm|cmd|cpl|exe|hta|jar|jnlp|jse|lnk|msc|msi|msp|pif|ps1|reg|scf|scr|vbe|vbs|wsc|wsf|wsh"
)
_PROGRAMS_IN_FILES = (
    "app|appinstaller|application|appref-ms|command|desktop|diagcab|dmg|fileloc|gadget|img|inetloc"
    "|iso|jse?|library-ms|msix|pkg|pyw?|rdp|scpt|sct|settingcontent-ms|sh|terminal|url|vb|vhdx?"
    "|webloc|workflow|ws|xbap|xll"
)
_PROGRAM = re.compile(
    rf"(?:(?:file:|[a-z]:/|//).*\.(?:{_PROGRAMS}|{_PROGRAMS_IN_FILES})|[^:]*\.(?:{_PROGRAMS}))"
    r"(?![a-z0-9]).*",
    re.IGNORECASE | re.DOTALL,
)
_LANGUAGE = re.compile("\x1b[^\x1b]{0,8}\x1b")
"""Of what follows (ISO 32000-1, 7.9.2.2): nothing that is seen."""
_MOST_OF_LINK = 65_536
"""No system opens one that is longer."""


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
    seen = _LANGUAGE.sub("", unquote(target[:_MOST_OF_LINK]))
    readings = {_plain(seen), _plain(seen.partition("\0")[0])}  # some read to a NUL
    return any(_SCRIPT.match(each) or _PROGRAM.match(each) for each in readings)


def _plain(target: str) -> str:
    """As those read it who pass over blanks and see `%5c` as the stroke it is."""
    seen = "".join(filter(str.isprintable, unquote(target)))
    return seen.replace(" ", "").replace("\\", "/")
