"""Expected values of the thesis, compared with ours: a verdict on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clseave.foundation.errors import UserError
from clseave.statistics import metrics

OTHER_CORPUS, NOT_RUN = "other corpus", "not run"
ENGLISH = "en"  # the evaluation that all others are compared with


@dataclass(frozen=True)
class Expected:
    """One value of the thesis; `evaluation`, `metric` and, in a training curve, `epoch` name ours."""

    evaluation: str
    metric: str
    value: float
    unit: str
    tolerance: float
    source: str
    why: str
    epoch: int | None = None


@dataclass(frozen=True)
class Expectations:
    """`expected.yaml`: the profile with the thesis's corpus, the width of the thesis's vectors, its values.

    `series` holds the tolerance, as a share of the value, of each error that a published table lists by epoch.
    """

    profile: str
    width: int
    series: dict[str, float]
    values: list[Expected]


def with_thesis(results: Sequence[dict[str, Any]], joined: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add the thesis's accuracy in percent and the verdict to the results; nothing when no value is comparable."""
    if all(row["verdict"] == OTHER_CORPUS for row in joined):
        return list(results)
    theirs = {row["evaluation"]: row for row in joined if row["metric"] == "accuracy"}
    return [row | {key: theirs.get(row["evaluation"], {}).get(key) for key in ("thesis", "verdict")} for row in results]


def parse(content: Mapping[str, Any]) -> Expectations:
    """Read the content of `expected.yaml`. UserError for a missing or unknown key."""
    try:
        series = {entry["metric"]: entry["tolerance_percent"] / 100 for entry in content["series"]}
        return Expectations(
            content["profile"], content["width"], series, [Expected(**entry) for entry in content["values"]]
        )
    except (KeyError, TypeError) as error:
        fields = ", ".join(Expected.__annotations__)
        raise UserError(
            f"expected values: need `profile`, `width`, `series` with metric, tolerance_percent, "
            f"and `values` with {fields}: {error}"
        ) from error


def judge(expected: Expected, measured: float | None, *, comparable: bool) -> str:
    """Return the verdict: OK within the tolerance, near within twice the tolerance, else off.

    It is "other corpus" when the values are not comparable, and "not run" without a measured value.
    """
    if not comparable:
        return OTHER_CORPUS
    if measured is None:
        return NOT_RUN
    distance = metrics.rounded(abs(measured - expected.value)) or 0.0
    return "OK" if distance <= expected.tolerance else "near" if distance <= 2 * expected.tolerance else "off"


def join(
    values: Sequence[Expected], measured: Mapping[tuple[str, str, int | None], float | None], *, comparable: bool
) -> list[dict[str, Any]]:
    """Join thesis values with ours; `measured` is keyed by (evaluation, metric, epoch), accuracies as shares of 1."""
    rows = []
    for entry in values:
        ours = measured.get((entry.evaluation, entry.metric, entry.epoch))
        if ours is not None and entry.unit == "percent":
            ours = 100 * ours
        rows.append(
            {
                "evaluation": entry.evaluation,
                "metric": entry.metric,
                "epoch": entry.epoch,
                "unit": entry.unit,
                "thesis": entry.value,
                "ours": metrics.rounded(ours),
                "tolerance": entry.tolerance,
                "verdict": judge(entry, ours, comparable=comparable),
                "source": entry.source,
                "why": entry.why,
            }
        )
    return rows
