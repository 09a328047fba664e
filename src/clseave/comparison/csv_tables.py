"""Tables in CSV files, read with pandas; faults of a file are reported in one line."""

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN, read_text

LARGEST = 1 << 24  # bytes; the longest curve has some thousand lines of 50 bytes


def read(path: Path | str, remedy: str = RERUN, dtype: Any = None) -> pd.DataFrame:
    """Read a table with a header, in types that pandas infers or in `dtype`.

    UserError when the file cannot be read, is not a table, or its column names are missing or duplicate. `remedy` ends
    the message: how to restore the file.
    """
    text = read_text(path, LARGEST, remedy)
    try:
        frame = pd.read_csv(StringIO(text), dtype=dtype)
        names = pd.read_csv(StringIO(text), header=None, nrows=1, dtype=str).iloc[0].tolist()
    except ValueError as error:  # the base class of pandas's errors
        raise UserError(f"{path} is no table: {error}: {remedy}") from error
    header = ", ".join(map(str, names))
    if not isinstance(frame.index, pd.RangeIndex):  # pandas makes surplus values of a row its index
        raise UserError(f"{path}: a row has more values than the header has names ({header}): {remedy}")
    if list(frame) != names:
        raise UserError(f"{path}: found the columns {header}, expected a name of its own for each: {remedy}")
    return frame


def read_numbers(path: Path | str, columns: Iterable[str], remedy: str = RERUN) -> pd.DataFrame:
    """Read a table of finite numbers. UserError for any other value, or when one of `columns` is missing."""
    frame = read(path, remedy)
    if missing := [name for name in columns if name not in frame]:
        raise UserError(f"{path}: no column {missing[0]!r}, found {', '.join(frame)}: {remedy}")
    for name, column in frame.items():
        require_numbers(path, str(name), column, remedy)
    return frame


def require_numbers(path: Path | str, name: str, column: pd.Series, remedy: str = RERUN) -> None:
    """Raise UserError with the first value of a column that is not a finite number, and its row (from 1)."""
    numeric = is_numeric_dtype(column) and not is_bool_dtype(column)
    values = column if numeric else pd.to_numeric(column.astype(str), errors="coerce")
    odd = np.flatnonzero(~np.isfinite(values.to_numpy(dtype=float))).tolist()
    if odd or (not numeric and len(column)):
        row = (odd or [0])[0]
        raise UserError(f"{path}: row {row + 1}, {name}: found {column.iloc[row]}, expected a number: {remedy}")
