"""The one exception for a user's own mistakes: `src/run.py` prints it as one line and exits with 2."""


class UserError(Exception):
    """Something the user can mend. The message says what was found, what is expected and what to do."""
