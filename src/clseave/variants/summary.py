"""Accuracies of a study's systems and the tests of its questions, over languages and seeds."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clseave.foundation.rows.records import Example
from clseave.statistics import metrics, swaps
from clseave.statistics.clustered import Estimate, estimate, of_seeds, share
from clseave.statistics.significance import with_tests
from clseave.variants.settings import Contrast, Measure

log = logging.getLogger(__name__)

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

    def hits(self, key: Key, languages: Iterable[str], measure: Measure = "accuracy") -> np.ndarray:
        """Which rows, or which minimal pairs, each seed judges rightly, (S, N) or (S, P): the share of the languages
        that do.
        """
        right = [self.systems[key].answers[language] == self.gold for language in languages]
        return np.mean(right if measure == "accuracy" else [one[:, self.pairs].all(2) for one in right], axis=0)

    def results(self) -> Rows:
        """One row for each system and language: accuracy with interval, spread over seeds, answers, measures."""
        rows = [
            self._result(key, language) for key, system in self.systems.items() for language in (ALL, *system.answers)
        ]
        names = dict.fromkeys(name for row in rows for name in row)
        return [dict.fromkeys(names) | row for row in rows]

    def _result(self, key: Key, language: str) -> dict[str, Any]:
        system = self.systems[key]
        languages = list(system.answers) if language == ALL else [language]
        by_seed = self.hits(key, languages).mean(1)
        row: dict[str, Any] = {"variant": key[0], "judged": key[1], "title": system.title, "language": language}
        row |= {"seeds": len(by_seed), "rows": len(self.gold), "pairs": len(self.pairs)}
        row |= self._share(key, languages, "accuracy", "")
        row["seeds_sd"] = metrics.rounded(float(np.std(by_seed, ddof=1))) if len(by_seed) > 1 else None
        row |= self._share(key, languages, "swap_accuracy", "swap_")
        chosen = [system.answers[one] for one in languages]
        shares = np.bincount(np.concatenate([one.ravel() for one in chosen]), minlength=3) / sum(map(np.size, chosen))
        row |= {f"said_{name}": metrics.rounded(float(one)) for name, one in zip(metrics.LABELS, shares, strict=True)}
        names = dict.fromkeys(name for one in languages for name in system.measures.get(one, {}))
        for name in names:
            row[name] = metrics.rounded(float(np.mean([system.measures[one][name] for one in languages])))
        return row

    def _share(self, key: Key, languages: Iterable[str], measure: Measure, prefix: str) -> dict[str, float | None]:
        """A measure with its interval; None where there are no minimal pairs."""
        names = (measure, f"{prefix}low", f"{prefix}high")
        hits = self.hits(key, languages, measure)
        if not hits.size:
            return dict.fromkeys(names)
        found = share(hits.mean(0), *self.clusters[measure], seeds=of_seeds(list(hits.mean(1)), len(hits)))
        return dict(zip(names, map(metrics.rounded, (found.value, found.low, found.high)), strict=True))

    def contrasts(self, questions: Sequence[Contrast]) -> Rows:
        """One row for each question and language that both its systems have: points, interval, corrected test.

        Holm's correction is over the questions for `ALL`, and over questions and languages for the single languages.
        Questions about minimal pairs are left out where there are none, and those about a system that no run in the
        study's languages has, which a line names.
        """
        questions = [one for one in questions if one.measure == "accuracy" or len(self.pairs)]
        questions = [one for one in questions if self._has_both(one)]
        together = [(one, ALL, self._languages(one)) for one in questions]
        single = [
            (one, language, ([language], [language]))
            for one, _, (first, second) in together
            for language in first
            if language in second
        ]
        rows: Rows = []
        for part in (together, single):
            names = [
                {"contrast": one.name, "question": one.question, "measure": one.measure, "language": language}
                for one, language, _ in part
            ]
            rows += with_tests(names, [self._difference(one, *languages) for one, _, languages in part])
        return rows

    def _has_both(self, question: Contrast) -> bool:
        """Whether both systems of a question are judged. A warning says which is not, and how its variant is."""
        missing = [one for one in (question.system, question.other) if (one.variant, one.judged) not in self.systems]
        for one in missing:
            known = ", ".join(way for variant, way in self.systems if variant == one.variant)
            log.warning("contrast %s: left out, %s is judged %s, not %s", question.name, one.variant, known, one.judged)
        return not missing

    def _languages(self, question: Contrast) -> tuple[list[str], list[str]]:
        """The languages of a question's two systems: those that both have; where they share none, each one's own."""
        sides = [list(self.systems[side.variant, side.judged].answers) for side in (question.system, question.other)]
        shared = [language for language in sides[0] if language in sides[1]]
        return (shared, shared) if shared else (sides[0], sides[1])

    def _difference(self, question: Contrast, languages: Sequence[str], others: Sequence[str]) -> Estimate:
        """The difference in points; its seeds are paired where both have the same."""
        keys = [(side.variant, side.judged) for side in (question.system, question.other)]
        first, second = (
            100 * self.hits(key, chosen, question.measure)
            for key, chosen in zip(keys, (languages, others), strict=True)
        )
        if self.systems[keys[0]].seeds == self.systems[keys[1]].seeds:
            spread = of_seeds(list(first.mean(1) - second.mean(1)), len(first))
        else:
            spread = sum(of_seeds(list(hits.mean(1)), len(hits)) for hits in (first, second))
        return estimate(first.mean(0) - second.mean(0), *self.clusters[question.measure], seeds=spread)
