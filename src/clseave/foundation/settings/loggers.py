"""The setting of loggers: the environment variable `CLSEAVE_LOGGERS`, names separated by commas, none by default.

It is no key of `params.yaml`, since DVC hashes that file: no stage and no output may depend on who watches a training.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from clseave.foundation.errors import UserError, did_you_mean

VARIABLE = "CLSEAVE_LOGGERS"
KNOWN = ("dvclive", "tensorboard", "wandb")  # each also the name of its package, and of its extra in pyproject.toml


def chosen(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of the loggers. UserError for a name that is not known, and for one whose package is missing."""
    names = list(filter(None, (name.strip() for name in environment.get(VARIABLE, "").split(","))))
    for name in names:
        if name not in KNOWN:
            allowed = f"{', '.join(KNOWN)}, or several of them separated by commas"
            raise UserError(f"{VARIABLE}: found {name!r}, allowed: {allowed}{did_you_mean(name, KNOWN)}")
        if find_spec(name) is None:
            raise UserError(f"{VARIABLE}: {name} is not installed: `pip install {name}`, or 'clseave[{name}]'")
    return list(dict.fromkeys(names))
