"""Tables of numbers in CSV files, read with pandas: what is wrong with a file is said in one line."""

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN, read_text

LARGEST = 1 << 24  # bytes: the longest curve has some thousand lines of fifty


def read(path: Path | str, remedy: str = RERUN, dtype: Any = None) -> pd.DataFrame:
    """A table with a header, in pandas's own types or in `dtype`.

    UserError when the file cannot be read, is no table, or when its columns do not have a name each. `remedy` is what
    brings a good one.
    """
    text = read_text(path, LARGEST, remedy)
    try:
        frame = pd.read_csv(StringIO(text), dtype=dtype)
        names = pd.read_csv(StringIO(text), header=None, nrows=1, dtype=str).iloc[0].tolist()
    except ValueError as error:  # what pandas raises is one
        raise UserError(f"{path} is no table: {error}: {remedy}") from error
    found = ", ".join(map(str, names))
    if not isinstance(frame.index, pd.RangeIndex):  # what a row has too much becomes its name
        raise UserError(f"{path}: a row has more values than the header has names ({found}): {remedy}")
    if list(frame) != names:
        raise UserError(f"{path}: found the columns {found}, expected a name of its own for each: {remedy}")
    return frame


def read_numbers(path: Path | str, columns: Iterable[str], remedy: str = RERUN) -> pd.DataFrame:
    """A table in which every value is a finite number. UserError also when one of `columns` is not there."""
    frame = read(path, remedy)
    if missing := [name for name in columns if name not in frame]:
        raise UserError(f"{path}: no column {missing[0]!r}, found {', '.join(frame)}: {remedy}")
    for name, column in frame.items():
        require_numbers(path, str(name), column, remedy)
    return frame


def require_numbers(path: Path | str, name: str, column: pd.Series, remedy: str = RERUN) -> None:
    """UserError names the first value of a column that is no finite number, and its row (from 1, below the header)."""
    known = is_numeric_dtype(column) and not is_bool_dtype(column)
    values = column if known else pd.to_numeric(column.astype(str), errors="coerce")
    odd = np.flatnonzero(~np.isfinite(values.to_numpy(dtype=float))).tolist()
    if odd or (not known and len(column)):
        row = (odd or [0])[0]
        raise UserError(f"{path}: row {row + 1}, {name}: found {column.iloc[row]}, expected a number: {remedy}")
