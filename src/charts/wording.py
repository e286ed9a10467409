"""The sentence that says a finding: the same on a page and in a notebook.

Findings come from `data.findings` and `evaluation.findings`; numbers are written as in `theme`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from src.charts import theme
from src.data import findings as data_findings
from src.data.findings import MEASURES, Pair, PairValue
from src.evaluation import findings, stats
from src.evaluation.reliability import CalibrationError, Reliability
from src.evaluation.thresholds import Sorting
from src.runs.overview import OverSeeds

ALIKE = 5  # intensities, of 255, that nobody would tell apart
BALANCED = 1.1  # ratio of the largest to the smallest category that counts as balanced
LEAN = 0.56  # share of pairs from which a difference of two categories is worth a word
TELLING = 0.05  # an error that a calibrated model may show by chance: more, and nothing is told


# --- the data set ------------------------------------------------------------------------------


def balance(totals: pd.Series[Any]) -> str:
    """Whether the categories have equally many images (`findings.class_totals`)."""
    (low, fewest), (high, most) = findings.ends(totals)
    if fewest == most:
        return f"Every category has {theme.count(most)} images"
    factor = most / max(fewest, 1)
    if factor < BALANCED:
        return (
            f"The categories are nearly balanced: {theme.count(fewest)} to "
            f"{theme.count(most)} images each"
        )
    return (
        f"{theme.sentence(high)} has {factor:.1f} times as many images as {low}: "
        f"{theme.count(most)} and {theme.count(fewest)}"
    )


def variability(spread: pd.Series[float]) -> str:
    """Which category's images differ most and least (`findings.variability`)."""
    (low, least), (high, most) = findings.ends(spread)
    return (
        f"Images of {high} vary most (standard deviation of a pixel {most:.0f} of 255), "
        f"those of {low} least ({least:.0f})"
    )


def similarity(ends: tuple[PairValue, PairValue]) -> str:
    """Which categories look most and least alike (`findings.pair_ends`)."""
    (far, least), (near, most) = ends
    return (
        f"{theme.sentence(named(near))} look most alike ({theme.number(most, 2)}), "
        f"{named(far)} least ({theme.number(least, 2)})"
    )


def mean_differences(ends: tuple[PairValue, PairValue]) -> str:
    """Which categories' mean images differ most and least (`findings.pair_ends`)."""
    (near, small), (far, large) = ends
    return (
        f"The mean images of {named(far)} differ most ({large:.0f} of 255), "
        f"those of {named(near)} least ({small:.0f})"
    )


def named(pair: Pair) -> str:
    """("cat", "dog") → "cat and dog"."""
    return f"{pair.first} and {pair.second}"


def intensity(levels: pd.DataFrame, labels: Sequence[str]) -> str:
    """Which of some labels is brightest and which darkest (`findings.mean_levels`).

    `labels` are categories; "all" among them, or alone, is the whole data set.
    """
    means = levels.groupby("label", sort=False)["level"].mean()
    chosen = means[[label for label in labels if label != "all"] or ["all"]]
    (low, least), (high, most) = findings.ends(chosen)
    if high == "all":
        return f"The mean intensity of all images is {most:.0f} of 255"
    if len(chosen) == 1:
        other = f", {means['all']:.0f} over all categories" if "all" in means.index else ""
        return f"The mean intensity of {high} is {most:.0f} of 255{other}"
    if most - least < ALIKE:
        names = theme.listing(list(chosen.index)) if len(chosen) == 2 else "All categories"
        return f"{theme.sentence(names)} are about equally bright: {least:.0f} to {most:.0f} of 255"
    return (
        f"{theme.sentence(high)} is brightest on average ({most:.0f} of 255), "
        f"{low} darkest ({least:.0f})"
    )


def distribution(medians: pd.Series[float], measure: str) -> str:
    """Which category has the highest and which the lowest median (`findings.medians`)."""
    (low, least), (high, most) = findings.ends(medians)
    name = MEASURES[measure].title
    if len(medians) == 1:
        return f"{name} of {high}: half of the images are above {most:.0f}"
    return f"{name} is highest for {high} (median {most:.0f}) and lowest for {low} ({least:.0f})"


def pair_difference(measures: pd.DataFrame, pair: Pair) -> str:
    """The measure in which two categories differ most (`findings.pair_measures`)."""
    row = measures.iloc[int((measures["lean"] - 0.5).abs().argmax())]
    share = max(row["lean"], 1 - row["lean"])
    more, less = pair if row["lean"] >= 0.5 else (pair.second, pair.first)
    if share < LEAN:
        return f"Light and colour hardly tell {pair.first} from {pair.second}"
    word = MEASURES[str(row["measure"])].more
    return f"The {more} is {word} than the {less} in {theme.percent(share, 0)} of all pairs"


def map_agreement(points: pd.DataFrame) -> str:
    """How well the categories stay apart on the map (`findings.neighbour_agreement`)."""
    share, chance = data_findings.neighbour_agreement(points)
    if math.isnan(share):
        return "Too few images for a map"
    return (
        f"{theme.percent(share, 0)} of the {data_findings.NEIGHBOURS} nearest neighbours are of "
        f"the same category; by chance it would be {theme.percent(chance, 0)}"
    )


def preparation(steps: int) -> str:
    """How many steps an image passes before the model sees it."""
    return f"An image passes {steps} steps before the model sees it"


def augmentation(variants: int) -> str:
    """How many changed copies of one image are shown."""
    return f"Training also sees changed copies: one image and {variants} variants"


def duplicates(groups: pd.DataFrame, brief: bool = False) -> str:
    """How many images are exact copies (`findings.duplicate_groups`); `brief` only counts them."""
    if groups.empty:
        return "No image occurs twice"
    leaks, wrong = int(groups["leak"].sum()), int(groups["mislabelled"].sum())
    copies = data_findings.copies(groups)
    parts = [f"{_several(copies, 'image is an exact copy', 'images are exact copies')} of another"]
    if leaks and not brief:
        parts.append(f"{_several(leaks, 'group reaches', 'groups reach')} across splits")
    if wrong and not brief:
        parts.append(f"{_several(wrong, 'group has', 'groups have')} two different labels")
    return ", ".join(parts)


def _several(number: int, one: str, many: str) -> str:
    """(1, "group has", "groups have") → "1 group has"."""
    return f"{theme.count(number)} {one if number == 1 else many}"


# --- results -----------------------------------------------------------------------------------


def confusion(counts: pd.DataFrame) -> str:
    """Which two categories are taken for each other most often, of (K, K) counts."""
    found = findings.most_confused(counts)
    if found is None:
        return "Every image is classified correctly"
    if not found.clear:
        mistakes = int(counts.to_numpy().sum() - counts.to_numpy().trace())
        return f"{_several(mistakes, 'mistake', 'mistakes')}; no two categories stand out"
    share = theme.percent(found.share, 0)
    return theme.sentence(
        f"{found.first} and {found.second} are confused most: {share} of all mistakes"
    )


def class_scores(scores: pd.DataFrame) -> str:
    """The lowest and the highest category (value, low, high by category; NaN: not tested).

    They are called hardest and easiest only where no interval of another one reaches theirs.
    """
    tested = scores.dropna(subset=["value"])
    if tested.empty:
        return "No category was tested"
    found = findings.extremes(tested)
    if found is not None:
        (hard, low), (easy, high) = found
        return theme.sentence(
            f"{hard} is hardest ({theme.percent(low)}), {easy} easiest ({theme.percent(high)})"
        )
    (_, low), (_, high) = findings.ends(tested["value"])
    if low == high:
        return f"Every category reaches {theme.percent(low)}"
    return (
        f"From {theme.percent(low)} to {theme.percent(high)}; the intervals of categories overlap"
    )


def mean_class_scores(means: pd.Series[float]) -> str:
    """The range of categories' means over several models, which have no interval."""
    (low_name, low), (high_name, high) = findings.ends(means.dropna())
    return theme.sentence(
        f"{low_name} is lowest ({theme.percent(low)}), {high_name} highest ({theme.percent(high)})"
    )


def calibration(found: Reliability) -> str:
    """Whether confidence fits accuracy: judged by the bins outside the band, then by the test."""
    outside = findings.miscalibrated(found.table)
    sides = [
        f"{how} in {n}" for how, n in (("too high", outside.over), ("too low", outside.under)) if n
    ]
    if sides:
        ranges = f"{outside.bins} range{'s' * (outside.bins > 1)} of confidence"
        return f"Confidence is {' and '.join(sides)} of {ranges}"
    chance = theme.p_value(found.error.p_value)
    if found.error.p_value < 1 - stats.LEVEL:
        return f"Confidence is not perfectly calibrated ({chance}), but no single range stands out"
    if found.error.high > TELLING:
        return f"Too few images to tell whether confidence is calibrated ({chance})"
    return f"Consistent with perfect calibration ({chance})"


def calibration_error(found: Reliability, classwise: CalibrationError) -> str:
    """The errors of confidence, beside what a perfectly calibrated model would show."""
    return (
        f"Calibration error {_beside(found.error)}. It is the mean distance of confidence and "
        f"accuracy; a perfectly calibrated model shows one too, by chance. "
        f"Class by class {_beside(classwise)}. Measured on {theme.images(found.n)}."
    )


def _beside(error: CalibrationError) -> str:
    return (
        f"{theme.percent(error.value, 2)} (perfectly calibrated: "
        f"{theme.interval(error.low, error.high, 2)}, {theme.p_value(error.p_value)})"
    )


def over_seeds(title: str, found: OverSeeds) -> str:
    """The mean accuracy of several trainings of one model, and how far single ones lie apart."""
    return (
        f"{title}: mean test accuracy of {found.trainings} trainings "
        f"{theme.percent(found.mean.value)} ({theme.interval(found.mean.low, found.mean.high)} for "
        f"other seeds and other images); standard deviation of the trainings "
        f"{100 * found.spread:.1f} points"
    )


def most_accurate(accuracies: pd.Series[float], digits: int = 1) -> str:
    """Which model has the highest accuracy (share by title); several where they are equal."""
    most = float(accuracies.max())
    names = [str(name) for name in accuracies.index[accuracies == most]]
    verb = "has" if len(names) == 1 else "have"
    return f"{theme.listing(names)} {verb} the highest accuracy: {theme.percent(most, digits)}"


def class_areas(areas: pd.Series[float], how: str, name: str) -> str:
    """Which class's curve encloses most and least (area by class); nothing where all are equal."""
    if areas.empty:
        return "No class can be drawn"
    (weak, least), (strong, most) = findings.ends(areas)
    if f"{least:.3f}" == f"{most:.3f}":
        which = f"{strong} is" if len(areas) == 1 else "All classes are equally well"
        return theme.sentence(f"{which} {how} ({name} {most:.3f})")
    return theme.sentence(f"{strong} is best {how} ({name} {most:.3f}), {weak} worst ({least:.3f})")


def lowest_class(scores: pd.DataFrame) -> str:
    """Whether all models (rows) have the same class (columns) as their lowest one (shares)."""
    lowest = scores.eq(scores.min(axis=1), axis=0)  # ties are all lowest
    shared = [str(name) for name in scores.columns[lowest.all()]]
    alone = bool((lowest.sum(axis=1) == 1).all())
    if len(shared) == 1 and alone and len(scores) > 1:
        return f"Every model finds {shared[0]} the hardest"
    means = scores.mean()
    names = [str(name) for name in means.index[means == means.min()]]
    return f"Lowest on average: {theme.listing(names)} ({theme.percent(means.min())})"


def explained_variance(components: pd.DataFrame, share: float) -> str:
    """How many principal components hold a share of the variance."""
    needed = findings.components_needed(components, share)
    return (
        f"{needed} of {len(components)} components hold {theme.percent(share, 0)} of the variance"
    )


def importance(members: pd.DataFrame) -> str:
    """On which member a blend relies most (title, log_loss_rise)."""
    return f"The blend relies most on {inline(findings.most_important(members))}"


def correlation(pairs: pd.DataFrame, measure: str = "errors") -> str:
    """Which two members of an ensemble are least alike (first, second, <measure>)."""
    found = findings.least_correlated(pairs, measure)
    if found is None:
        return "Nothing to correlate: a member never errs"
    names = f"{inline(found.first)} and {inline(found.second)}"
    return theme.sentence(f"{names} differ most ({theme.number(found.value, 2)})")


def inline(title: str) -> str:
    """A title within a sentence: its first letter small, unless it is an abbreviation."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


# --- automatic sorting -------------------------------------------------------------------------


def promise(found: Sorting) -> str:
    """What is promised of automatic sorting, or that nothing is."""
    asked, whole = found.promise, theme.percent(found.target, 0)
    if found.threshold is None:
        return "Nothing is sorted automatically, so nothing is promised."
    if not asked.assured:
        return (
            f"Not assured: {whole} of the validation images at or above the threshold are "
            "correct; nothing is promised for other images."
        )
    return (
        f"Promised with {theme.percent(1 - asked.delta, 0)} confidence, from validation images: at "
        f"least {whole} of all that is sorted automatically is correct, and at least "
        f"{theme.percent(asked.class_precision, 0)} in each category."
    )


def policy(found: Sorting) -> str:
    """What happens to a photo."""
    checked = [each.label for each in found.always_checked]
    if found.threshold is None:
        return f"People check every photo: {nothing_sorted(found)}"
    limit = theme.confidence(found.threshold)
    rest = f"with at least {limit} confidence are sorted automatically"
    sorted_ones = [each.label for each in found.classes if each.threshold is not None]
    if len(checked) > len(sorted_ones):
        return f"Photos of {theme.listing(sorted_ones)} {rest}; people check all others"
    if checked:
        return f"Photos {rest}; people check the others, and all of {theme.listing(checked)}"
    return f"Photos {rest}; people check the others"


def nothing_sorted(found: Sorting) -> str:
    """Why no photo is sorted automatically."""
    if found.classes and all(each.why == "few" for each in found.classes):
        aim = theme.percent(found.promise.class_precision, 0)
        return f"the validation images are too few to assure {aim} precision of any category"
    aim = theme.percent(found.target, 0)
    return f"on validation images no confidence reaches {aim} precision"
