"""Check every value before any work.

Reads:  params.yaml and the profile it names, as files.
Writes: a constant stamp that every other stage depends on.
Thesis: none.
Cost:   below a second.
"""

from clseave import cli, params
from clseave.storage import write_text

KEYS = ()


def main(argv: list[str] | None = None) -> None:
    """Validate params.yaml and the profile; UserError names file, key, what was found and what is allowed."""
    args = cli.parse(argv, __doc__, ["params", "profiles", "out"])
    params.check(args.params, args.profiles)
    write_text(args.out, "checked\n")
