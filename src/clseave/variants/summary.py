"""Accuracies of a study's systems and the tests of its questions, over languages and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clseave.foundation.rows.records import Example
from clseave.statistics import metrics, swaps
from clseave.statistics.clustered import estimate, of_seeds, share
from clseave.statistics.significance import judged
from clseave.variants.settings import Contrast, System

ALL = "all"  # every language: of each row the mean over them
Rows = list[dict[str, Any]]
Key = tuple[str, str]  # variant, way of judging


@dataclass(frozen=True)
class Judged:
    """A system's answers, by language (S, N) label ids, and its measures, by language and name one value a seed."""

    title: str
    seeds: list[int]
    answers: Mapping[str, np.ndarray]
    measures: Mapping[str, Mapping[str, list[float]]]


class Table:
    """Systems judged on the same N test rows."""

    def __init__(self, systems: Mapping[Key, Judged], examples: Sequence[Example]):
        """`systems` by variant and way of judging."""
        self.systems, self.examples = systems, examples
        self.gold = metrics.gold_ids([row.label for row in examples])
        self.images = [row.image_id for row in examples]
        self.statements = [row.statement or row.hypothesis_id for row in examples]
        self.pairs = [row.pair for row in examples]

    def hits(self, key: Key, language: str) -> np.ndarray:
        """Which rows each seed judges rightly, (S, N); of `ALL` the share of the languages that do."""
        answers = self.systems[key].answers
        chosen = answers.values() if language == ALL else [answers[language]]
        return np.mean([one == self.gold for one in chosen], axis=0)

    def results(self) -> Rows:
        """One row for each system and language: accuracy with interval, spread over seeds, answers, measures."""
        return [
            self._result(key, language) for key, system in self.systems.items() for language in (ALL, *system.answers)
        ]

    def _result(self, key: Key, language: str) -> dict[str, Any]:
        system, hits = self.systems[key], self.hits(key, language)
        by_seed = hits.mean(1)
        found = share(hits.mean(0), self.images, self.statements, seeds=of_seeds(list(by_seed), len(by_seed)))
        chosen = list(system.answers.values()) if language == ALL else [system.answers[language]]
        shares = np.bincount(np.concatenate([one.ravel() for one in chosen]), minlength=3) / sum(map(np.size, chosen))
        both = [swaps.summary(one == self.gold, self.pairs)["swap_accuracy"] for answers in chosen for one in answers]
        row: dict[str, Any] = {"variant": key[0], "judged": key[1], "title": system.title, "language": language}
        row |= {"seeds": len(by_seed), "rows": len(self.gold), "accuracy": metrics.rounded(found.value)}
        row |= {"low": metrics.rounded(found.low), "high": metrics.rounded(found.high)}
        row["seeds_sd"] = metrics.rounded(float(np.std(by_seed, ddof=1))) if len(by_seed) > 1 else None
        row["swap_accuracy"] = metrics.rounded(float(np.mean(both))) if None not in both else None
        row |= {f"said_{name}": metrics.rounded(float(one)) for name, one in zip(metrics.LABELS, shares, strict=True)}
        languages = system.answers if language == ALL else [language]
        names = dict.fromkeys(name for one in languages for name in system.measures.get(one, {}))
        for name in names:
            row[name] = metrics.rounded(float(np.mean([system.measures[one][name] for one in languages])))
        return row

    def contrasts(self, questions: Sequence[Contrast]) -> Rows:
        """One row for each question and language: points, interval, corrected test.

        Holm's correction is over the questions for `ALL`, and over questions and languages for the single languages.
        """
        rows: Rows = []
        for languages in ([ALL], self._languages()):
            asked = [(one, language) for one in questions for language in languages]
            found = [self._difference(one.system, one.other, language) for one, language in asked]
            names = [{"contrast": one.name, "question": one.question, "language": language} for one, language in asked]
            rows += judged(names, found)
        return rows

    def _languages(self) -> list[str]:
        return list(next(iter(self.systems.values())).answers)

    def _difference(self, system: System, other: System, language: str) -> Any:
        """The difference in points; its seeds are paired where both have the same."""
        (one, first), (two, second) = (
            (self.systems[key], self.hits(key, language))
            for key in ((side.variant, side.judged) for side in (system, other))
        )
        points = 100 * (first.mean(0) - second.mean(0))
        if one.seeds == two.seeds:
            spread = of_seeds(list(100 * (first.mean(1) - second.mean(1))), len(one.seeds))
        else:
            spread = sum(of_seeds(list(100 * hits.mean(1)), len(hits)) for hits in (first, second))
        return estimate(points, self.images, self.statements, seeds=spread)
