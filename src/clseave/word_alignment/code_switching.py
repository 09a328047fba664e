"""Code-switched sentences: English ones in which aligned words of another language replace some of the words."""

import numpy as np

from clseave.foundation.rows.records import Alignment


def code_switched(row: Alignment, share: float, generator: np.random.Generator) -> str:
    """The English sentence with each aligned word replaced, with probability `share`, by its partners in their order.

    A word without a partner stays, and a partner is said once. Words are joined by blanks, in languages without them
    too.

    Source: Ni et al. 2021, M3P: Learning Universal Representations via Multitask Multilingual Multimodal Pre-training
    (multimodal code-switched training), which takes the words from dictionaries.
    """
    partners: dict[int, list[int]] = {}
    for source, target in row.pairs:
        partners.setdefault(source, []).append(target)
    chosen = [place for place in sorted(partners) if generator.random() < share]
    said: set[int] = set()
    words = []
    for place, word in enumerate(row.source_words):
        if place not in chosen:
            words.append(word)
            continue
        new = [target for target in sorted(partners[place]) if target not in said]
        said.update(new)
        words += [row.target_words[target] for target in new]
    return " ".join(words)
