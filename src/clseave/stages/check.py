"""Check every value, and what the values need, before any work.

Reads:  params.yaml and the profile it names, as files; DVC's settings; local models that the profile names.
Writes: a constant stamp that every other stage depends on.
Thesis: none.
Cost:   a second.
"""

from clseave import cli, params, prerequisites
from clseave.storage import write_text


def main(argv: list[str] | None = None) -> None:
    """Validate params.yaml and the profile; UserError names file, key, what was found and what is allowed."""
    args = cli.parse(argv, __doc__, ["params", "profiles", "out"])
    values, profile = params.check(args.params, args.profiles)
    prerequisites.check(values, profile, args.profiles.parent / ".dvc")
    write_text(args.out, "checked\n")
