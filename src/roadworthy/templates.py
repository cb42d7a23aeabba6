"""Templates that lie in a package's folder `templates`."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def templates_of(package: str, *, ends_with_newline: bool = False) -> Environment:
    """Those of `package`. What goes into HTML is escaped; a name that nobody gave is an error."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=ends_with_newline,
    )
