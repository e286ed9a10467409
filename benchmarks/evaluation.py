"""What do intervals cost? A thousand resamples of all figures against scikit-learn's ROC areas.

Ten thousand answers over ten classes, drawn at random. The areas alone, sorted anew for each
resample, are what a bootstrap costs that does not keep its ranking.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy.special import softmax
from sklearn import metrics

from benchmarks.interleaved import median_times
from benchmarks.report import Measure, finish
from src.evaluation import metrics as evaluation_metrics

N, K = 10_000, 10
ROUNDS = 5
MOST_AREAS = 100  # of scikit-learn, for what a thousand resamples of everything may cost


def answers() -> evaluation_metrics.Scored:
    """Plausible answers: random logits, the label's raised."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, K, N)
    logits = rng.normal(scale=1.5, size=(N, K))
    logits[np.arange(N), labels] += 2
    return evaluation_metrics.score(labels, softmax(logits, axis=1), [str(k) for k in range(K)])


def main() -> int:
    """Measure and print; 1 where the resamples cost too much."""
    scored = answers()
    median = median_times(
        {
            "areas": lambda: metrics.roc_auc_score(
                scored.labels, scored.probabilities, multi_class="ovr"
            ),
            "summary": lambda: evaluation_metrics.summary(scored),
        },
        ROUNDS,
        warm_up=1,
    )
    return finish(
        f"Figures of {N:,} answers with intervals, median of {ROUNDS} rounds interleaved",
        [
            Measure("scikit-learn: ROC areas, once", median["areas"], "ms"),
            Measure(
                f"all figures, {evaluation_metrics.RESAMPLES:,} resamples", median["summary"], "ms"
            ),
            Measure(
                "worth so many of scikit-learn's areas",
                median["summary"] / median["areas"],
                "×",
                MOST_AREAS,
            ),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
