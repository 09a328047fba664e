"""Accuracies of a study's systems and the tests of its questions, over languages and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clseave.foundation.rows.records import Example
from clseave.statistics import metrics, swaps
from clseave.statistics.clustered import Estimate, estimate, of_seeds, share
from clseave.statistics.significance import with_tests
from clseave.variants.settings import Contrast, Measure

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
    """Systems judged on the same N test rows, of which P pairs are minimal pairs."""

    def __init__(self, systems: Mapping[Key, Judged], examples: Sequence[Example]):
        """`systems` by variant and way of judging."""
        self.systems = systems
        self.gold = metrics.gold_ids([row.label for row in examples])
        images = [row.image_id for row in examples]
        statements = [row.statement or row.hypothesis_id for row in examples]
        self.pairs = swaps.complete([row.pair for row in examples])
        of_pairs = swaps.clusters(self.pairs, images, statements)
        self.clusters = {"accuracy": (images, statements), "swap_accuracy": of_pairs}

    def hits(self, key: Key, language: str, measure: Measure = "accuracy") -> np.ndarray:
        """Which rows, or which minimal pairs, each seed judges rightly, (S, N) or (S, P); of `ALL` the share of the
        languages that do.
        """
        right = [answers == self.gold for answers in self._answers(key, language)]
        return np.mean(right if measure == "accuracy" else [one[:, self.pairs].all(2) for one in right], axis=0)

    def _answers(self, key: Key, language: str) -> list[np.ndarray]:
        answers = self.systems[key].answers
        return list(answers.values()) if language == ALL else [answers[language]]

    def results(self) -> Rows:
        """One row for each system and language: accuracy with interval, spread over seeds, answers, measures."""
        return [
            self._result(key, language) for key, system in self.systems.items() for language in (ALL, *system.answers)
        ]

    def _result(self, key: Key, language: str) -> dict[str, Any]:
        system, seeds = self.systems[key], self.systems[key].seeds
        chosen = self._answers(key, language)
        by_seed = self.hits(key, language).mean(1)
        row: dict[str, Any] = {"variant": key[0], "judged": key[1], "title": system.title, "language": language}
        row |= {"seeds": len(seeds), "rows": len(self.gold)} | self._share(key, language, "accuracy", "")
        row["seeds_sd"] = metrics.rounded(float(np.std(by_seed, ddof=1))) if len(by_seed) > 1 else None
        row |= self._share(key, language, "swap_accuracy", "swap_")
        shares = np.bincount(np.concatenate([one.ravel() for one in chosen]), minlength=3) / sum(map(np.size, chosen))
        row |= {f"said_{name}": metrics.rounded(float(one)) for name, one in zip(metrics.LABELS, shares, strict=True)}
        languages = system.answers if language == ALL else [language]
        names = dict.fromkeys(name for one in languages for name in system.measures.get(one, {}))
        for name in names:
            row[name] = metrics.rounded(float(np.mean([system.measures[one][name] for one in languages])))
        return row

    def _share(self, key: Key, language: str, measure: Measure, prefix: str) -> dict[str, float | None]:
        """A measure with its interval; None where there are no minimal pairs."""
        names = (measure, f"{prefix}low", f"{prefix}high")
        hits = self.hits(key, language, measure)
        if not hits.size:
            return dict.fromkeys(names)
        found = share(hits.mean(0), *self.clusters[measure], seeds=of_seeds(list(hits.mean(1)), len(hits)))
        return dict(zip(names, map(metrics.rounded, (found.value, found.low, found.high)), strict=True))

    def contrasts(self, questions: Sequence[Contrast]) -> Rows:
        """One row for each question and language: points, interval, corrected test.

        Holm's correction is over the questions for `ALL`, and over questions and languages for the single languages.
        Questions about minimal pairs are left out where there are none.
        """
        rows: Rows = []
        questions = [one for one in questions if one.measure == "accuracy" or len(self.pairs)]
        for languages in ([ALL], self._languages()):
            asked = [(one, language) for one in questions for language in languages]
            found = [self._difference(one, language) for one, language in asked]
            names = [
                {"contrast": one.name, "question": one.question, "measure": one.measure, "language": language}
                for one, language in asked
            ]
            rows += with_tests(names, found)
        return rows

    def _languages(self) -> list[str]:
        return list(next(iter(self.systems.values())).answers)

    def _difference(self, asked: Contrast, language: str) -> Estimate:
        """The difference in points; its seeds are paired where both have the same."""
        keys = [(side.variant, side.judged) for side in (asked.system, asked.other)]
        first, second = (100 * self.hits(key, language, asked.measure) for key in keys)
        if self.systems[keys[0]].seeds == self.systems[keys[1]].seeds:
            spread = of_seeds(list(first.mean(1) - second.mean(1)), len(first))
        else:
            spread = sum(of_seeds(list(hits.mean(1)), len(hits)) for hits in (first, second))
        return estimate(first.mean(0) - second.mean(0), *self.clusters[asked.measure], seeds=spread)
