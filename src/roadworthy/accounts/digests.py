"""The kinds of password digest: ours, and those of Devise, moved in; what each costs to verify."""

import re

TODAY = "$argon2id$v=19$m=19456,t=2,p=1"
"""The kind that `hashing.py` makes; digests of others are renewed at the next sign-in."""

MOST_BCRYPT_COST = 15
MOST_ARGON2_KIB = 256 * 1024
MOST_ARGON2_PASSES = 10
"""What costs more opens for nobody: every refusal would have to take as long."""

_ARGON2 = re.compile(r"(\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1)(?:\$[A-Za-z0-9+/]+){2}", re.ASCII)
_BCRYPT = re.compile(
    r"\$2[aby]\$(\d\d)\$"
    r"[./A-Za-z0-9]{21}[.Oeu]"  # salt: of its last character two bits count
    r"[./A-Za-z0-9]{30}[.CGKOSWaeimquy26]",  # digest: of its last one four
    re.ASCII,
)
_BCRYPT_COSTS = range(4, 32)


def kind_of(digest: str) -> str | None:
    """The scheme of `digest` and its cost; `None` when it opens for nobody."""
    if argon2 := _ARGON2.fullmatch(digest):
        kind, memory, passes = argon2.groups()
        affordable = int(memory) <= MOST_ARGON2_KIB and int(passes) <= MOST_ARGON2_PASSES
        return kind if affordable else None
    cost = bcrypt_cost(digest)
    return None if cost is None or cost > MOST_BCRYPT_COST else f"$2b${cost:02}"


def bcrypt_cost(digest: str) -> int | None:
    """The cost of a bcrypt digest, which doubles its time with each; `None` when it is none."""
    match = _BCRYPT.fullmatch(digest)
    return int(match[1]) if match and int(match[1]) in _BCRYPT_COSTS else None


def nobodys_digest(kind: str) -> str:
    """A digest that takes as long to verify as any of `kind`, and is of no known password."""
    if kind.startswith("$argon2"):
        return f"{kind}${'A' * 22}${'A' * 43}"
    return f"{kind}${'.' * 53}"
