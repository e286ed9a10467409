"""Photos or a drawing in, categories out: the prediction, its confidence, and the evidence."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.typing import UploadedFile

from app_pages import answers, canvas, components, loaders
from app_pages.answers import SIDE
from src.charts import classifier, theme
from src.data import decoding, images
from src.data.specification import Fit
from src.evaluation import thresholds
from src.runs import published
from src.serving import drawing, inference, uploads
from src.serving.classifier import Classification
from src.serving.preparation import Preparation, preparation

MAX_PHOTOS = 40  # kept for one visitor, about 5 MB
MAX_RESULTS = 400  # kept for one visitor, a few kB each
UPLOAD_MB = decoding.MAX_BYTES // 2**20  # of one file, as in the API
PER_PAGE = 5
FORMATS: theme.Formats = {
    **dict.fromkeys(("confidence", "runner_up_confidence"), theme.confidence),
    "model_ms": theme.milliseconds,
}
EXAMPLES = 12
OLD_FIT_NAMES: dict[str, Fit] = {"Cut to the middle": "crop"}  # in links of earlier versions

Shown = list[tuple[uploads.Photo, Classification]]  # the photos in the list, each classified


class Setup(NamedTuple):
    """What classifies: the run, the model, its precision, how photos are prepared, the figures."""

    run: published.Run
    model: str
    precision: str
    how: Preparation
    sorting: thresholds.Sorting | None  # automatic sorting with this model; None: no target

    @property
    def threshold(self) -> float | None:
        """Confidence at or above which a photo is sorted automatically; None: no photo is."""
        return self.sorting.threshold if self.sorting else None

    def key(self, photo: uploads.Photo) -> tuple[Any, ...]:
        """What a result depends on."""
        run = self.run
        return (photo.sha256, run.study, run.version, self.model, self.precision, self.how)


class Arrival(NamedTuple):
    """Something a visitor added: its name, its bytes, its category if known."""

    name: str
    data: bytes
    truth: str | None = None


# --- what is kept --------------------------------------------------------------------------


def kept() -> dict[str, uploads.Photo]:
    """The visitor's photos by SHA-256, newest first; survives going to another page."""
    found: dict[str, uploads.Photo] = st.session_state.setdefault("photos", {})
    return found


def add(arrivals: Iterable[Arrival], count: int) -> None:
    """Read new photos one by one; what cannot be read or kept is noted with its reason."""
    fresh: dict[str, uploads.Photo] = {}
    refused: list[tuple[str, str]] = []
    repeated: list[tuple[str, str]] = []
    progress = st.progress(0.0, "Reading…") if count > 1 else None
    for number, arrival in enumerate(arrivals, start=1):
        try:
            photo = _read(arrival, set(kept()) | set(fresh))
            if known := fresh.get(photo.sha256) or kept().get(photo.sha256):
                repeated.append((photo.name, known.name))
            fresh[photo.sha256] = photo
        except decoding.ImageError as error:
            refused.append((uploads.shown_name(arrival.name), str(error)))
        if progress:
            progress.progress(number / count, f"Read {number} of {count}")
    st.session_state["photos"] = fresh | {k: p for k, p in kept().items() if k not in fresh}
    st.session_state["refused"] = refused
    st.session_state["repeated"] = repeated


def _read(arrival: Arrival, known: set[str]) -> uploads.Photo:
    """One photo; ImageError where it is none or where the list of `known` ones is full."""
    if len(known) >= MAX_PHOTOS and uploads.sha256(arrival.data) not in known:
        raise decoding.ImageError(
            f"The list is full: it holds {MAX_PHOTOS} photos. Remove some and add this one again."
        )
    return uploads.read(arrival.data, arrival.name, loaders.preparations(), arrival.truth)


def remove(digest: str | None = None) -> None:
    """Forget one photo, or all of them."""
    if digest is None:
        st.session_state["photos"] = {}
        st.session_state["results"] = {}
        st.session_state["files_turn"] = st.session_state.get("files_turn", 0) + 1
    kept().pop(digest or "", None)
    st.session_state["refused"] = st.session_state["repeated"] = []


def classified(setup: Setup) -> Shown:
    """Every kept photo with its result; only new ones go through the model."""
    known: dict[tuple[Any, ...], Classification] = st.session_state.setdefault("results", {})
    usable = [photo for photo in kept().values() if setup.how in photo.inputs]
    fresh = [photo for photo in usable if setup.key(photo) not in known]
    if fresh:
        found = loaders.classifier(setup.run.study, setup.run.version, setup.model, setup.precision)
        results = uploads.classify(found, fresh, setup.how)
        known |= {setup.key(photo): one for photo, one in zip(fresh, results, strict=True)}
    shown = [(photo, known[setup.key(photo)]) for photo in usable]
    for old in list(known)[: max(0, len(known) - MAX_RESULTS)]:
        del known[old]
    return shown


# --- choices -------------------------------------------------------------------------------


def choose_way(run: published.Run) -> str:
    """Whether to draw or to add photos, in the URL; only photos where drawing makes no sense."""
    if not drawing.suits(run.dataset):
        return "photos"
    return components.switch("Draw or add photos", "way", WAYS, label_visibility="collapsed")


def choose(run: published.Run, way: str) -> Setup:
    """The model, its precision and the fit; all in the URL."""
    titles = {
        name: str(loaders.model(run.study, run.version, name).config["title"])
        for name in run.served
    }
    how = preparation(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = components.choose("Model", "model", titles, run.default_model, width=380)
        precision = components.switch(
            "Precision", "precision", inference.PRECISIONS, help=_precision_help(run, model)
        )
        if way == "photos" and how.fits:
            how = preparation(run, choose_fit(how))
    return Setup(run, model, precision, how, sorting(run, model))


def choose_fit(how: Preparation) -> Fit:
    """What happens to photos of other proportions, the study's own way first; in the URL."""
    names: dict[Fit, str] = {"crop": "Crop to the centre", "pad": f"Pad with {how.padding}"}
    return components.switch(
        "Photos that are not square",
        "fit",
        names,
        how.fit,
        old=OLD_FIT_NAMES,
        help="The model sees an image of fixed proportions.",
    )


def _precision_help(run: published.Run, model: str) -> str:
    parity = loaders.model(run.study, run.version, model).metrics["parity"]
    accuracy = {name: theme.percent(parity[name]["accuracy"]) for name in inference.PRECISIONS}
    same = theme.percent(parity["int8"]["top1_agreement"])
    return (
        f"int8 is smaller and faster. On {theme.count(parity['n'])} validation images: "
        f"accuracy {accuracy['float32']} (float32) and {accuracy['int8']} (int8). Both predict the "
        f"same category for {same}."
    )


def sorting(run: published.Run, model: str) -> thresholds.Sorting | None:
    """How automatic sorting does on test images; None where the study has no target."""
    with components.readable():
        return loaders.sorting(run.study, run.version, model)
    return None


# --- opening -------------------------------------------------------------------------------


def opening(setup: Setup, answer: str, extra: list[components.Figure]) -> None:
    """The finding of the page; accuracy, automatic sorting and time of the model."""
    record = loaders.model(setup.run.study, setup.run.version, setup.model)
    splits = record.splits(setup.precision)
    test = (splits or record.metrics["splits"])["test"]
    latency = record.metrics["cost"]["latency_ms"][setup.precision]
    basis = f"n = {theme.count(test['n'])} test"
    accuracy = "Accuracy" if splits else "Accuracy of float32"  # int8 was not asked in this version
    figures = [
        components.share_figure(accuracy, test["metrics"]["accuracy"], basis),
        *extra,
        components.time_figure(latency),
    ]
    components.opening("Image classifier", answer, figures)


def sorting_figures(found: thresholds.Sorting | None) -> list[components.Figure]:
    """Automation rate and precision of automatic sorting on test images."""
    if found is None or found.threshold is None:
        return []
    rate, precision = found.coverage, found.precision
    return [
        components.Figure(
            "Automation rate",
            theme.percent(rate.value),
            theme.interval(rate.low, rate.high),
            f"n = {theme.count(found.n)} test",
            f"Share of test images with at least {theme.confidence(found.threshold)} confidence.",
        ),
        components.Figure(
            "Correct among these",
            theme.percent(precision.value),
            theme.interval(precision.low, precision.high),
            f"n = {theme.count(found.accepted)} test",
            f"Target: {theme.percent(found.target, 0)}, reached on validation images.",
        ),
    ]


def sorting_sentence(found: thresholds.Sorting | None) -> str:
    """What happens to a photo."""
    if found is None:
        return "Add a photo and see its category"
    if found.threshold is None:
        return (
            "People check every photo: on validation images no confidence reaches "
            f"{theme.percent(found.target, 0)} precision"
        )
    return (
        f"Photos with at least {theme.confidence(found.threshold)} confidence are sorted "
        "automatically; people check the others"
    )


def photos_sentence(shown: Shown) -> str:
    """How many of the visitor's photos need checking."""
    automatic = sum(result.automatic for _, result in shown)
    check = len(shown) - automatic
    if len(shown) == 1:
        return "Your photo is sorted automatically" if automatic else "Your photo needs checking"
    if not check:
        return f"All {len(shown)} photos are sorted automatically"
    if not automatic:
        return f"All {len(shown)} photos need checking"
    needs = "needs" if check == 1 else "need"
    return f"{automatic} of {len(shown)} photos sorted automatically, {check} {needs} checking"


# --- ways in -------------------------------------------------------------------------------


@components.section
def inbox(run: published.Run) -> None:
    """Files, camera, examples. What arrives is read at once and its bytes are given back."""
    turn = st.session_state.setdefault("camera_turn", 0)  # a new key takes the photo away
    left, right = st.columns([2, 3], gap="large")
    with left:
        files = st.file_uploader(
            "Your photos",  # of any type: what cannot be read is named with its reason
            accept_multiple_files=True,
            max_upload_size=UPLOAD_MB,
            # The same until the list is emptied: what the field itself refuses stays in sight.
            key=f"files_{st.session_state.get('files_turn', 0)}",
            help=f"Up to {MAX_PHOTOS} photos. They are kept for this visit only, never stored.",
        )
        st.caption(f"At most {UPLOAD_MB} MB a photo. What is red is larger and not taken.")
        camera = None
        if st.toggle("Use the camera", key="camera_on"):
            camera = st.camera_input("Take a photo", key=f"camera_{turn}")
    with right:
        example = examples(run)
    taken: set[str] = st.session_state.setdefault("taken_files", set())
    given = [file for file in files if file.file_id not in taken] + ([camera] if camera else [])
    if given or example:
        taken.update(file.file_id for file in given)
        st.session_state["camera_turn"] = turn + 1
        add(example or arrivals(given), len(example) or len(given))
        st.rerun()


def arrivals(files: list[UploadedFile]) -> Iterator[Arrival]:
    """Uploads one by one; each gives its memory back before the next is looked at."""
    while files:
        file = files.pop(0)
        yield Arrival(file.name, file.getvalue())
        context = get_script_run_ctx()
        if context and hasattr(context.uploaded_file_mgr, "remove_file"):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def examples(run: published.Run) -> list[Arrival]:
    """Test images to click: one of each category; the clicked one, if any."""
    draw = st.session_state.setdefault("example_draw", 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Or click an example that the model has never seen", width="content")
        if st.button("Show other examples", icon=":material/shuffle:", type="tertiary"):
            draw = st.session_state["example_draw"] = draw + 1
    rows = draw_examples(run, draw)
    clicked: list[Arrival] = []
    with st.grid("auto", min_column_width=104, gap="small"):
        for label, key, png in zip(rows["label"], rows["id"], rows["png"], strict=True):
            with st.container(gap="xsmall"):
                components.picture(png, alt=f"Example: {label}", side=96)
                if st.button(str(label), key=f"example_{key}", width="stretch"):
                    clicked.append(Arrival(f"test {key} ({label}).png", png, str(label)))
    return clicked


def draw_examples(run: published.Run, draw: int) -> pd.DataFrame:
    """One stored test image of each category (label, id, png), correct as often as the model is.

    A run stores mostly mistakes, so each image counts as often as its kind (label and prediction)
    occurs among all test images.
    """
    # The gallery's photos are too small to be classified; they have files of their own.
    stored = "examples.parquet" if run.has("examples.parquet") else "gallery.parquet"
    rows = loaders.table(run.study, run.version, stored)
    rows = rows[rows["split"] == "test"]
    every = loaders.answers(loaders.Subject(run.study, run.version, run.default_model, "test"))
    kind = ["label", "prediction"]
    occurs = every.groupby(kind).size().rename("occurs").reset_index()
    rows = rows.merge(every[["id", "prediction"]], on="id").merge(occurs, on=kind)
    rows["weight"] = rows["occurs"] / rows.groupby(kind)["id"].transform("size")
    drawn = rows.groupby("label").sample(1, random_state=draw, weights=rows["weight"])
    order = {name: place for place, name in enumerate(run.dataset["classes"])}
    return drawn.sort_values("label", key=lambda labels: labels.map(order)).head(EXAMPLES)


def tell_refused() -> None:
    """Which files of the last addition were not taken, and why."""
    refused = st.session_state.get("refused", [])
    if not refused:
        return
    lines = [f"- **{components.plain(name)}**: {components.plain(why)}" for name, why in refused]
    many = "One file was" if len(refused) == 1 else f"{len(refused)} files were"
    st.warning(f"{many} not added.\n\n" + "\n".join(lines), icon=":material/hide_image:")


def tell_repeated() -> None:
    """Which photos of the last addition the list had already."""
    for name, known in st.session_state.get("repeated", []):
        st.info(
            f"**{components.plain(name)}** is the same photo as **{components.plain(known)}**. The "
            "list holds it once.",
            icon=":material/content_copy:",
        )


# --- results -------------------------------------------------------------------------------


def results(setup: Setup, shown: Shown) -> None:
    """The table of all results and a card for each photo."""
    missing = len(kept()) - len(shown)
    if missing:
        st.caption(
            f"{missing} photos were added before this version was published. Add them again."
        )
    if not shown:
        st.markdown("**Nothing to show yet**")
        st.caption(
            "Drop photos into the field above, or click an example. The result appears here."
        )
        return
    picked = results_table(setup, shown)
    cards(setup, [shown[picked]] if picked is not None else shown)


def results_table(setup: Setup, shown: Shown) -> int | None:
    """All results, sortable, as CSV too; returns the place of the selected one."""
    photos, found = zip(*shown, strict=True)
    frame = uploads.table(photos, found, setup.run.dataset["classes"], setup.how)
    st.subheader(f"Results for {len(shown)} photo{'s' if len(shown) > 1 else ''}")
    event = st.dataframe(
        components.formatted(
            frame.assign(
                image=[answers.data_uri(photo.inputs[setup.how].pixels) for photo, _ in shown]
            ),
            FORMATS,
        ),
        column_order=[
            *("image", "file", "category", "confidence", "decision", "reason"),
            *("runner_up", "runner_up_confidence", "model_ms", "notes"),
        ],
        column_config={
            "image": st.column_config.ImageColumn("", width="small", help="What the model saw"),
            "file": "Photo",
            "category": "Category",
            "confidence": "Confidence",
            "decision": "Decision",
            "reason": "Why",
            "runner_up": "Next best",
            "runner_up_confidence": "Its confidence",
            "model_ms": "Time per photo",
            "notes": "What was done",
        },
        hide_index=True,
        row_height=40,
        on_select="rerun",
        selection_mode="single-row",
        key=f"results_{len(shown)}",
        alt="Category, confidence and decision of every photo",
    )
    with st.container(horizontal=True):
        components.download_csv(
            frame, f"{setup.run.study}_{setup.run.version}_results", key="results_csv"
        )
        st.button("Remove all", icon=":material/delete:", type="tertiary", on_click=remove)
    rows = [row for row in event.selection.rows if row < len(shown)]
    return rows[0] if rows else None


def cards(setup: Setup, shown: Shown) -> None:
    """A card for each photo, some per page."""
    if len(shown) == 1 and len(kept()) > 1:
        st.caption("Only the selected row. Clear the selection in the table to see all cards.")
    pages = -(-len(shown) // PER_PAGE)
    page = st.pagination(pages, key="cards") if pages > 1 else 1
    for photo, result in shown[(page - 1) * PER_PAGE : page * PER_PAGE]:
        with st.container(border=True):
            card(setup, photo, result)


@components.section
def card(setup: Setup, photo: uploads.Photo, result: Classification) -> None:
    """One photo: the photo, what the model saw, the evidence, the probabilities."""
    key, pixels = photo.sha256[:16], photo.inputs[setup.how].pixels
    heading(photo, result, setup.how)
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(horizontal=True, gap="small"):
        with st.container(width=SIDE):
            uploaded(photo)
        with st.container(width=SIDE):
            answers.seen(pixels)
        with st.container(width=SIDE):
            answers.evidence(result, pixels, key)
    with right:
        answers.bars(result, setup.threshold, key)


def uploaded(photo: uploads.Photo) -> None:
    """The photo as it came, in its own proportions."""
    pixels = classifier.enlarge(images.from_png(photo.thumbnail), SIDE)
    st.image(
        pixels,
        caption="The photo",
        alt=f"The photo {photo.name}",
        width=min(pixels.shape[1], SIDE),  # else a narrow one is stretched to its caption's width
    )


def heading(photo: uploads.Photo, result: Classification, how: Preparation) -> None:
    """Category, decision, what was done to the photo, and how long it took."""
    with st.container(horizontal=True, vertical_alignment="center"):
        answers.verdict(result)
        if photo.truth is not None:
            right = photo.truth == result.label
            st.badge(
                f"True label: {photo.truth}",
                icon=":material/done:" if right else ":material/close:",
                color="gray" if right else "red",
            )
        st.space("stretch")
        st.button(
            "Remove",
            icon=":material/close:",
            type="tertiary",
            key=f"remove_{photo.sha256[:16]}",
            on_click=_remove_and_rerun,
            args=(photo.sha256,),
        )
    width, height = photo.size
    done = "".join(f", {note}" for note in photo.told(how))
    together = f", {result.batch} photos together" if result.batch > 1 else ""
    read, classified = map(theme.milliseconds, (photo.milliseconds, result.milliseconds))
    time = f"Read in {read}, classified in {classified}{together}"
    st.caption(
        f"{components.plain(photo.name)}: {photo.format}, {width} × {height}{done}. "
        f"{time}. Decision: {result.reason}."
    )


def _remove_and_rerun(digest: str) -> None:
    remove(digest)
    st.rerun()  # the whole page: the table and the sentence change too


# --- page ----------------------------------------------------------------------------------


def limits(setup: Setup, way: str) -> None:
    """What the results say and what they do not say."""
    with st.expander("How to read the results", icon=":material/help:"):
        names = theme.listing(setup.run.dataset["classes"])
        limit = "there is none" if setup.threshold is None else theme.confidence(setup.threshold)
        st.markdown(
            f"The model knows only these categories: {components.plain(names)}. An image of "
            "anything else gets one of them too, often with high confidence, so only show it what "
            "it was made for. The confidence is calibrated on validation images. The threshold "
            f"({limit}) is chosen on them too, with the float32 model. The automation rate and its "
            "precision are measured on test images. The evidence is the class-activation map of "
            "Zhou et al. (2016): it shows what raised the score, not what the model understood."
        )
        if way == "photos":
            st.caption(
                f"Accepted: {', '.join(decoding.FORMATS)}, up to {UPLOAD_MB} MB each, {MAX_PHOTOS} "
                "photos in the list. Nothing you add is stored: closing the page forgets it."
            )
        else:
            st.caption("What you draw is not stored: closing the page forgets it.")


def photos_page(setup: Setup, header: DeltaGenerator) -> None:
    """Photos in, a table and a card for each out."""
    inbox(setup.run)
    tell_refused()
    tell_repeated()
    shown: Shown = []
    with components.readable():  # an altered model: the rest of the page stands
        shown = classified(setup)
    answer = photos_sentence(shown) if shown else sorting_sentence(setup.sorting)
    with header:
        opening(setup, answer, sorting_figures(setup.sorting))
    results(setup, shown)


def drawing_page(setup: Setup, header: DeltaGenerator) -> None:
    """A drawing in, its category out."""
    run, model = setup.run, setup.model
    with header:
        opening(setup, canvas.sentence(run, model), canvas.figure(run, model))
    canvas.reading(run, model, setup.precision)
    canvas.accuracy(run, model)


WAYS = {"draw": "Draw", "photos": "Photos"}
PAGES = {"draw": drawing_page, "photos": photos_page}

with components.readable():
    run = components.current_run()
    header = st.container()
    way = choose_way(run)
    setup = choose(run, way)
    PAGES[way](setup, header)
    limits(setup, way)
