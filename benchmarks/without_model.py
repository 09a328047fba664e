"""The stage `align_words` without its model: word pairs are those of the diagonal.

Reading, segmentation, token ids, sorting by length, padding of batches and writing are the stage's own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from clseave.foundation.process import numerics

numerics.pin()

from clseave.stages import align_words  # noqa: E402
from clseave.word_alignment.aligner import Encoded, Pairs, WordAligner, diagonal  # noqa: E402


class WithoutModel(WordAligner):
    """The aligner without its forward pass."""

    def _align_batch(self, batch: Sequence[tuple[Encoded, Encoded]]) -> list[Pairs]:
        """Pad both sides as for the model, and return the pairs of the diagonal."""
        left, right = zip(*batch, strict=True)
        self._pad(left)
        self._pad(right)
        return [diagonal(sorted(set(one)), sorted(set(other))) for (_, one), (_, other) in batch]  # type: ignore[arg-type]


if __name__ == "__main__":
    align_words.WordAligner = WithoutModel  # type: ignore[misc]
    align_words.main(sys.argv[2:])
