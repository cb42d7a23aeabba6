"""The kinds of password digest: ours, and those of Devise, moved in; what each costs to verify."""

import re

TODAY = "$argon2id$v=19$m=19456,t=2,p=1"
"""The kind that `hashing.py` makes; digests of others are renewed at the next sign-in."""

MOST_BCRYPT_COST = 15
MOST_ARGON2_KIB = 256 * 1024
MOST_ARGON2_PASSES = 10
"""What costs more opens for nobody: every refusal would have to take as long."""

_ARGON2 = re.compile(r"(\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1)(?:\$[A-Za-z0-9+/]+){2}", re.ASCII)
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)


def kind_of(digest: str) -> str | None:
    """The scheme of `digest` and its cost; `None` when it opens for nobody."""
    if argon2 := _ARGON2.fullmatch(digest):
        kind, memory, passes = argon2.groups()
        affordable = int(memory) <= MOST_ARGON2_KIB and int(passes) <= MOST_ARGON2_PASSES
        return kind if affordable else None
    if bcrypt := _BCRYPT.fullmatch(digest):
        return f"$2b${bcrypt[1]}" if int(bcrypt[1]) <= MOST_BCRYPT_COST else None
    return None


def nobodys_digest(kind: str) -> str:
    """A digest that takes as long to verify as any of `kind`, and is of no known password."""
    if kind.startswith("$argon2"):
        return f"{kind}${'A' * 22}${'A' * 43}"
    return f"{kind}${'.' * 53}"
