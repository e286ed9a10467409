"""What is in the images: counts, averages, light and colour, similar classes, copies."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import streamlit as st

from app_pages import audit, components, loaders
from src.charts import exploration, palette, theme, wording
from src.charts.exploration import ImageKey
from src.data import findings, images, originals
from src.data.findings import MEASURES, Pair
from src.runs import published

TABS = {
    "categories": "Categories",
    "images": "Images",
    "light": "Light and colour",
    "map": "Map",
    "similar": "Similar classes",
    "preparation": "Preparation",
    "copies": "Exact copies",
}
OLD_TABS = {"Pictures": "images", "Look-alikes": "similar"}  # in links of earlier versions
MONTAGE = 24
EXAMPLES = 8
SHEET_COLUMNS = 8
SIDE = 128  # pixels of an enlarged image


# --- shared --------------------------------------------------------------------------------


def eda(run: published.Run, name: str) -> pd.DataFrame:
    """One exploration table of the run."""
    return loaders.table(run.study, run.version, f"eda/{name}.parquet")


def of_classes(frame: pd.DataFrame, chosen: Iterable[str]) -> pd.DataFrame:
    """The rows whose label is chosen."""
    return frame[frame["label"].isin(list(chosen))]


def pngs(run: published.Run, rows: pd.DataFrame) -> dict[ImageKey, bytes]:
    """PNG bytes of some rows: from the run's gallery, else from the data set where it is here."""
    stored = loaders.gallery(run.study, run.version)
    found = {key: stored[key] for key in keys(rows) if key in stored}
    for split, part in rows.groupby("split"):
        wanted = [key for key in keys(part) if key not in stored]
        if wanted:
            read = originals.read(run.dataset, str(split), [key.id for key in wanted])
            found |= {ImageKey(str(split), name): png for name, png in read.items()}
    return found


def keys(rows: pd.DataFrame) -> list[ImageKey]:
    """What names the image of each row (split, id)."""
    return [ImageKey(*key) for key in zip(rows["split"], rows["id"], strict=True)]


def show_images(
    run: published.Run,
    rows: pd.DataFrame,
    *,
    key: str,
    caption: Callable[[pd.Series], str],
    side: int = 96,
) -> None:
    """The images of some rows (split, id, label) with a caption each; says what is missing."""
    found = pngs(run, rows)
    shown = [
        components.Picture(found[name], caption(row), f"{row['label']}, {name.split} {name.id}")
        for name, (_, row) in zip(keys(rows), rows.iterrows(), strict=True)
        if name in found
    ]
    components.picture_grid(shown, key=key, side=side)
    if len(shown) < len(rows):
        st.caption(f"{len(shown)} of {len(rows)} images are stored with this version.")


def sheet_png(pngs: Iterable[bytes]) -> bytes:
    """Images of one size as one PNG."""
    arrays = [images.from_png(png) for png in pngs]
    return images.to_png(exploration.contact_sheet(arrays, SHEET_COLUMNS))


def file_name(run: published.Run, what: str) -> str:
    """Name of a download, without extension."""
    return f"{run.study}_{run.version}_{what}"


def picker(key: str, one: str, two: str) -> Callable[[], None]:
    """A callback that puts the clicked pair of a chart into two selectors (and so the URL)."""

    def pick() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            st.session_state[one], st.session_state[two] = points[0]["customdata"][:2]

    return pick


# --- opening -------------------------------------------------------------------------------


def opening(run: published.Run) -> None:
    """The finding of the page, and what the data set is in five figures."""
    dataset = run.dataset
    nearest = most_similar(run)
    groups = findings.duplicate_groups(eda(run, "duplicates"))
    height, width, channels = dataset["image_shape"]
    totals = dataset["totals"]
    figures = [
        components.Figure("Images", theme.count(totals["all"]), basis=dataset["title"]),
        components.Figure(
            "Categories",
            theme.count(len(dataset["classes"])),
            basis=f"{theme.count(totals['all'] / len(dataset['classes']))} images on average",
        ),
        components.Figure(
            "Image size", f"{width} × {height}", basis="colour" if channels == 3 else "grey"
        ),
        components.Figure(
            "Most similar",
            ", ".join(nearest.pair),
            basis=f"similarity {theme.number(nearest.value, 2)}",
        ),
        components.Figure(
            "Exact copies",
            theme.count(findings.copies(groups)),
            basis=f"{theme.count(groups['leak'].sum())} across splits",
        ),
    ]
    balance = wording.balance(findings.class_totals(eda(run, "class_counts")))
    alike = f"{theme.sentence(wording.named(nearest.pair))} look most alike"
    answer = f"{balance}. {alike}. {wording.duplicates(groups, brief=True)}."
    components.opening("Data visualizer", answer, figures)


def most_similar(run: published.Run) -> findings.PairValue:
    """The two categories that look most alike, and how similar they are."""
    return findings.pair_ends(eda(run, "class_similarity"), "similarity")[1]


def choose_classes(run: published.Run) -> list[str]:
    """The categories that the tabs show: all where none is chosen."""
    classes = run.dataset["classes"]
    chosen = st.pills(
        "Show only",
        classes,
        selection_mode="multi",
        key="show",
        bind="query-params",
        help="Choose some to see only those; none means all.",
    )
    return [name for name in classes if name in chosen] or classes


# --- categories ----------------------------------------------------------------------------


@components.section
def categories(run: published.Run, chosen: list[str]) -> None:
    """Counts per class and split, the average and the variability of each class."""
    counts = of_classes(eda(run, "class_counts"), chosen)
    components.chart(
        exploration.class_counts(counts, run.dataset["classes"]),
        key="counts",
        data=counts,
        name=file_name(run, "class_counts"),
    )
    averages(run, chosen)


KINDS = {
    "mean": ("Average", "The average of all training images of a category."),
    "variability": (
        "Variability",
        "How much each pixel varies within a category: bright where its images differ.",
    ),
}


def averages(run: published.Run, chosen: list[str]) -> None:
    """The mean or the variability image of each class."""
    kind = components.switch(
        "Image per category", "kind", {name: kind[0] for name, kind in KINDS.items()}
    )
    title, meaning = KINDS[kind]
    made = exploration.class_images(
        eda(run, "class_pictures"), kind, run.dataset["image_shape"], chosen
    )
    st.caption(meaning)
    shown = [
        components.Picture(images.to_png(pixels), name, f"{title} image of {name}")
        for name, pixels in made.items()
    ]
    components.picture_grid(shown, key="averages", side=SIDE)
    if shown:
        components.download_png(
            sheet_png(item.png for item in shown), file_name(run, kind), key="averages_png"
        )


# --- images --------------------------------------------------------------------------------


def _shuffle() -> None:
    st.session_state["mix"] = int(np.random.default_rng().integers(1, 10_000))


@components.section
def montage(run: published.Run, chosen: list[str]) -> None:
    """Images drawn at random, reshuffled on request; the draw is in the URL."""
    everything = originals.available(run.dataset)
    path = "splits.parquet" if everything else "gallery.parquet"
    rows = of_classes(loaders.table(run.study, run.version, path), chosen)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = components.switch("From", "part", ["all", *palette.SPLITS])
        seed = st.number_input(
            "Draw",
            1,
            9_999,
            step=1,
            key="mix",
            bind="query-params",
            width=140,
            help="The same number gives the same images.",
        )
        st.button("Shuffle", icon=":material/shuffle:", on_click=_shuffle)
    rows = rows if split == "all" else rows[rows["split"] == split]
    if rows.empty:
        st.caption("No image matches this choice.")
        return
    drawn = rows.sample(min(MONTAGE, len(rows)), random_state=int(seed or 1))
    found = pngs(run, drawn)
    st.markdown(f"**{len(drawn)} of {theme.count(len(rows))} images, drawn at random**")
    st.caption(
        "From all images of the data set, which is on this machine."
        if everything
        else "From the images stored with this version. Unusual images and mistakes are more "
        "frequent among them than in the data set."
    )
    show_images(run, drawn, key="montage", caption=lambda row: str(row["label"]))
    if found:
        components.download_png(
            sheet_png(found.values()), file_name(run, f"montage_{seed}"), key="montage_png"
        )


@components.section
def first_rows(run: published.Run) -> None:
    """The first training images as a table of numbers, as such data sets are passed around."""
    rows = eda(run, "first_rows")
    pixels = len(rows.columns) - 2
    st.markdown(f"**An image is {pixels:,} numbers: the first {len(rows)} training images**")
    st.caption(
        "One row per image: its place in the file, its category, and the brightness of every "
        "pixel from 0 to 255, row by row from the top left."
    )
    st.dataframe(rows, hide_index=True, alt="The first training images as numbers")
    components.download_csv(rows, file_name(run, "first_rows"), key="first_rows_csv")


# --- light and colour ----------------------------------------------------------------------


@components.section
def light(run: published.Run, chosen: list[str]) -> None:
    """Histograms per channel, and how bright, rich and sharp the images are."""
    histograms = eda(run, "intensity_histogram")
    labels = ["all", *chosen] if len(chosen) < len(run.dataset["classes"]) else ["all"]
    left, right = st.columns(2, gap="large")
    with left:
        components.chart(
            exploration.intensity(histograms, labels, run.dataset["classes"]),
            key="intensity",
            sentence=None
            if len(labels) > 1
            else "Choose categories above to lay their histograms over this one.",
            data=histograms[histograms["label"].isin(labels)],
            name=file_name(run, "intensity"),
        )
    with right:
        measure = measures(run, chosen)
    extremes(run, measure, chosen)


def measures(run: published.Run, chosen: list[str]) -> str:
    """The distribution of one measure; returns the measure."""
    statistics = of_classes(eda(run, "image_statistics"), chosen)
    measure = components.switch(
        "Measure",
        "light",
        {name: MEASURES[name].title for name in findings.varying(statistics)},
    )
    components.chart(
        exploration.distribution(statistics, measure, run.dataset["classes"]),
        key="distribution",
        data=statistics[["split", "id", "label", measure]],
        name=file_name(run, measure),
    )
    return measure


def extremes(run: published.Run, measure: str, chosen: list[str]) -> None:
    """The images with the least and the most of a measure."""
    rows = of_classes(eda(run, "extremes"), chosen)
    rows = rows[rows["measure"] == measure].sort_values("rank")
    words = MEASURES[measure]
    for column, end, word in zip(
        st.columns(2, gap="large"), ("lowest", "highest"), (words.less, words.more), strict=True
    ):
        with column:
            part = rows[rows["end"] == end]
            st.markdown(f"**{theme.sentence(word)} than all others**")
            st.caption(
                f"{words.title}, {end} values of all images. Unusual or broken ones show here."
            )
            if part.empty:
                st.caption("None of them is of the chosen categories.")
            show_images(
                run,
                part,
                key=f"extremes_{end}",
                caption=lambda row: f"{row['label']}, {row['value']:,.0f}",
            )


# --- map -----------------------------------------------------------------------------------


@components.section
def embedding(run: published.Run, chosen: list[str]) -> None:
    """Images as dots; a click shows the image behind one and its nearest neighbours."""
    points = of_classes(eda(run, "embedding_map"), chosen)
    picked = st.session_state.get("dot")
    left, right = st.columns([3, 1], gap="large")
    with left:
        components.chart(
            exploration.embedding_map(points, run.dataset["classes"], picked),
            key="map",
            select=_pick_dot,
            zoom=True,
            data=points,
            name=file_name(run, "map"),
        )
    with right:
        if picked:
            neighbours(run, points, picked)
        else:
            st.markdown("**Click a dot**")
            st.caption(f"Its image and the {EXAMPLES} nearest ones appear here.")


def _pick_dot() -> None:
    """Remember the clicked dot: a figure with another circle forgets its selection."""
    points = st.session_state["map"]["selection"]["points"]
    if points:
        split, key = points[0]["customdata"][:2]
        st.session_state["dot"] = ImageKey(str(split), key if isinstance(key, str) else int(key))


def neighbours(run: published.Run, points: pd.DataFrame, key: ImageKey) -> None:
    """An image of the map and those nearest to it."""
    picked = points[(points["split"] == key.split) & (points["id"] == key.id)]
    if picked.empty:
        st.caption("Click a dot: the image chosen before is not on this map.")
        return
    here = picked.iloc[0]
    name = f"{key.split} image {key.id}"
    st.markdown(f"**{components.plain(str(here['label']))}**, {components.plain(name)}")
    for png in pngs(run, picked).values():
        components.picture(png, alt=f"{here['label']}, {name}", side=SIDE)
    distance = (points["x"] - here["x"]) ** 2 + (points["y"] - here["y"]) ** 2
    near = points.loc[distance.drop(picked.index).nsmallest(EXAMPLES).index]
    same = int((near["label"] == here["label"]).sum())
    st.caption(f"Of the {len(near)} nearest images, {same} are {here['label']} too:")
    show_images(run, near, key="near", caption=lambda row: str(row["label"]), side=64)


# --- similar classes -----------------------------------------------------------------------


@components.section
def similar(run: published.Run) -> None:
    """Which classes look alike; two of them side by side."""
    classes = run.dataset["classes"]
    pair = choose_pair(run)
    left, right = st.columns(2, gap="large")
    with left:
        similarities = eda(run, "class_similarity")
        components.chart(
            exploration.similarity(similarities, classes, pair),
            key="similarity",
            select=picker("similarity", "one", "two"),
            data=similarities,
            name=file_name(run, "similarity"),
        )
    with right:
        distances = eda(run, "mean_differences")
        components.chart(
            exploration.mean_differences(distances, classes, pair),
            key="distances",
            select=picker("distances", "one", "two"),
            data=distances,
            name=file_name(run, "mean_differences"),
        )
    compare(run, pair)


def choose_pair(run: published.Run) -> Pair:
    """Two classes: chosen here or by a click; at first those that look most alike."""
    classes = run.dataset["classes"]
    first, second = most_similar(run).pair
    left, right = st.columns(2, gap="large")
    with left:
        one = components.choose("Compare", "one", classes, first)
    with right:
        two = components.choose("with", "two", classes, second)
    return Pair(one, two)


def compare(run: published.Run, pair: Pair) -> None:
    """Two classes side by side: averages, difference, light and colour, examples."""
    if pair.first == pair.second:
        st.caption("Choose two different categories to compare them.")
        return
    st.subheader(theme.sentence(wording.named(pair)))
    averages_of_two(run, pair)
    statistics = of_classes(eda(run, "image_statistics"), pair)
    measured = findings.pair_measures(statistics, pair)
    left, right = st.columns(2, gap="large")
    with left:
        components.chart(
            exploration.pair_differences(measured, pair, len(statistics)),
            key="pair",
            data=measured,
            name=file_name(run, "_".join(pair)),
        )
    with right:
        components.chart(
            exploration.intensity(eda(run, "intensity_histogram"), pair, run.dataset["classes"]),
            key="pair_intensity",
        )
    for column, name in zip(st.columns(2, gap="large"), pair, strict=True):
        with column:
            examples(run, name)


def averages_of_two(run: published.Run, pair: Pair) -> None:
    """Mean and variability of two classes, and where their means differ."""
    shape, stored = run.dataset["image_shape"], eda(run, "class_pictures")
    made = {
        f"{kind} of {name}": pixels
        for kind in ("mean", "variability")
        for name, pixels in exploration.class_images(stored, kind, shape, pair).items()
    }
    made["difference"] = exploration.difference_image(stored, pair, shape)
    components.picture_grid(
        [
            components.Picture(images.to_png(pixels), title, f"{title}, image")
            for title, pixels in made.items()
        ],
        key="pair_averages",
        side=SIDE,
    )
    st.caption(
        f"Difference of the means: blue where {pair.first} is brighter, "
        f"orange where {pair.second} is."
    )


def examples(run: published.Run, name: str) -> None:
    """Some images of one class."""
    stored = of_classes(loaders.table(run.study, run.version, "gallery.parquet"), [name])
    st.markdown(f"**{theme.sentence(name)}**")
    show_images(
        run,
        stored.head(EXAMPLES),
        key=f"examples_{name}",
        caption=lambda row: f"{row['split']} {row['id']}",
    )


# --- preparation ---------------------------------------------------------------------------


@components.section
def preparation(run: published.Run) -> None:
    """What happens to an image before the model sees it, and what training makes of it."""
    steps = eda(run, "preprocessing").sort_values("order")
    st.markdown(f"**{wording.preparation(len(steps))}**")
    st.caption("Training, this app and the API use the same steps.")
    with st.grid(len(steps), min_column_width=150):
        for png, step, description in zip(
            steps["png"], steps["step"], steps["description"], strict=True
        ):
            with st.container():
                components.picture(png, alt=f"{step}: {description}", side=SIDE)
                st.markdown(f"**{components.plain(step)}**")
                st.caption(components.plain(description))
    variants = eda(run, "augmentation_preview").sort_values("variant")
    st.markdown(f"**{wording.augmentation(len(variants) - 1)}**")
    st.caption("Random changes that keep the category, drawn afresh in every epoch.")
    components.picture_grid(
        [
            components.Picture(png, text, f"Augmentation: {text}")
            for png, text in zip(variants["png"], variants["description"], strict=True)
        ],
        key="augmentation",
        side=SIDE,
    )
    components.download_png(
        sheet_png(variants["png"]), file_name(run, "augmentation"), key="augmentation_png"
    )


# --- copies --------------------------------------------------------------------------------


@components.section
def copies(run: published.Run, chosen: list[str]) -> None:
    """Images that are in the data set more than once."""
    duplicates = of_classes(eda(run, "duplicates"), chosen)
    groups = findings.duplicate_groups(duplicates)
    st.markdown(f"**{wording.duplicates(groups)}**")
    st.caption(
        "Exact copies have the same pixels. Across splits, a model is tested on images that it "
        "was trained on. Select a row to see its images."
    )
    if groups.empty:
        return
    named = {name: groups[name].map(theme.listing) for name in ("splits", "labels")}
    event = st.dataframe(
        groups.assign(**named),
        column_config={
            "group": st.column_config.NumberColumn("Group", format="%d"),
            "images": st.column_config.NumberColumn("Images", format="%d"),
            "splits": "In",
            "labels": "Labels",
            "leak": st.column_config.CheckboxColumn("Across splits"),
            "mislabelled": st.column_config.CheckboxColumn("Different labels"),
        },
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [0]}},
        key="copies",
        alt="Groups of identical images",
    )
    components.download_csv(duplicates, file_name(run, "duplicates"), key="copies_csv")
    for row in event.selection.rows[:1]:
        rows = duplicates[duplicates["group"] == groups["group"].iloc[row]]
        show_images(
            run,
            rows,
            key="copy_images",
            caption=lambda row: f"{row['label']}, {row['split']} {row['id']}",
        )


# --- page ----------------------------------------------------------------------------------

with components.readable():
    run = components.current_run()
    opening(run)
    chosen = choose_classes(run)
    tabs = components.tabs("look", TABS, old=OLD_TABS)
    for tab, draw, arguments in (
        ("categories", categories, (run, chosen)),
        ("images", montage, (run, chosen)),
        ("light", light, (run, chosen)),
        ("map", embedding, (run, chosen)),
        ("similar", similar, (run,)),
        ("preparation", preparation, (run,)),
        ("copies", copies, (run, chosen)),
    ):
        if tabs[tab].open:
            with tabs[tab]:
                draw(*arguments)
    if tabs["images"].open and run.has("eda/first_rows.parquet"):
        with tabs["images"]:
            first_rows(run)
    if tabs["copies"].open and run.has("audit.json"):
        with tabs["copies"]:
            audit.files(run)
