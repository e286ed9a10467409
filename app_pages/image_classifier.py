"""Photos or a drawing in, categories out: what the model answers, how sure it is, and why."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.typing import UploadedFile

from app_pages import answers, canvas, components, loaders
from app_pages.answers import SIDE
from src.charts import classifier, theme
from src.data import decoding, images
from src.data.formats import DataError
from src.evaluation import thresholds
from src.runs import published
from src.serving import drawing, inference, uploads

MAX_PHOTOS = 40  # kept for one visitor, about 5 MB
MAX_ANSWERS = 400  # kept for one visitor, a few kB each
UPLOAD_MB = 10  # of one file
PER_PAGE = 5
EXAMPLES = 12
FIT_NAMES = {"crop": "Cut to the middle", "pad": "Pad with white"}


class Setup(NamedTuple):
    """What answers: the run, the model, its precision, how photos are fitted, and the policy."""

    run: published.Run
    model: str
    precision: str
    fit: uploads.Fit
    filed: thresholds.Filed | None

    @property
    def threshold(self) -> float | None:
        """Confidence from which a photo is filed without a person; None: never."""
        return self.filed.threshold if self.filed else None

    def key(self, photo: uploads.Photo) -> tuple[str, ...]:
        """What an answer depends on."""
        run = self.run
        return (photo.sha256, run.study, run.version, self.model, self.precision, self.fit)


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


def shapes() -> list[uploads.Shape]:
    """The picture shapes of all published studies, so that a photo is read only once."""
    opened = (loaders.open_run(study, loaders.versions(study)[0]) for study in loaders.studies())
    return [shape_of(run) for run in opened]


def shape_of(run: published.Run) -> uploads.Shape:
    """(H, W, C) of what the run's models see."""
    height, width, channels = run.dataset["image_shape"]
    return height, width, channels


def add(arrivals: Iterable[Arrival], count: int) -> None:
    """Read new photos one by one; what cannot be read or kept is noted with its reason."""
    fresh: dict[str, uploads.Photo] = {}
    refused: list[tuple[str, str]] = []
    progress = st.progress(0.0, "Reading…") if count > 1 else None
    for number, arrival in enumerate(arrivals, start=1):
        try:
            photo = _read(arrival, set(kept()) | set(fresh))
            fresh[photo.sha256] = photo
        except decoding.ImageError as error:
            refused.append((uploads.shown_name(arrival.name), str(error)))
        if progress:
            progress.progress(number / count, f"Read {number} of {count}")
    st.session_state["photos"] = fresh | {k: p for k, p in kept().items() if k not in fresh}
    st.session_state["refused"] = refused


def _read(arrival: Arrival, known: set[str]) -> uploads.Photo:
    """One photo; ImageError where it is none or where the list of `known` ones is full."""
    if len(known) >= MAX_PHOTOS and uploads.sha256(arrival.data) not in known:
        raise decoding.ImageError(
            f"The list is full: it holds {MAX_PHOTOS} photos. Remove some and add this one again."
        )
    return uploads.read(arrival.data, arrival.name, shapes(), arrival.truth)


def remove(digest: str | None = None) -> None:
    """Forget one photo, or all of them."""
    if digest is None:
        st.session_state["photos"] = {}
        st.session_state["answers"] = {}
    kept().pop(digest or "", None)
    st.session_state["refused"] = []


def answered(setup: Setup) -> list[tuple[uploads.Photo, uploads.Answer]]:
    """Every kept photo with its answer; only those not answered before go through the model."""
    known: dict[tuple[str, ...], uploads.Answer] = st.session_state.setdefault("answers", {})
    shape = shape_of(setup.run)
    usable = [photo for photo in kept().values() if (shape, setup.fit) in photo.inputs]
    fresh = [photo for photo in usable if setup.key(photo) not in known]
    if fresh:
        model = loaders.served(setup.run.study, setup.run.version, setup.model, setup.precision)
        said = uploads.answer(model, fresh, setup.fit)
        known |= {setup.key(photo): answer for photo, answer in zip(fresh, said, strict=True)}
    result = [(photo, known[setup.key(photo)]) for photo in usable]
    for old in list(known)[: max(0, len(known) - MAX_ANSWERS)]:
        del known[old]
    return result


# --- choices -------------------------------------------------------------------------------


def choose_way(run: published.Run) -> str:
    """Whether to draw or to add photos, in the URL; only photos where drawing makes no sense."""
    if not drawing.suits(run.dataset):
        return "Photos"
    return components.switch("Way in", list(WAYS), "way", label_visibility="collapsed")


def choose(run: published.Run, way: str) -> Setup:
    """The model, its precision and the fit; all in the URL."""
    names = run.served
    titles = {name: loaders.model(run.study, run.version, name).config["title"] for name in names}
    fit = uploads.FITS[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Model",
            names,
            format_func=lambda name: titles.get(name, name),
            key="model",
            bind="query-params",
            width=380,
        )
        model = model if model in names else run.default_model
        precision = components.switch(
            "Precision",
            inference.PRECISIONS,
            "precision",
            named=str,
            help=_precision_help(run, model),
        )
        if way == "Photos":
            fit = components.switch(
                "Photos of another shape",
                uploads.FITS,
                "fit",
                named=lambda name: FIT_NAMES[name],
                help="The model sees a picture of fixed proportions.",
            )
    return Setup(run, model, precision, fit, policy(run, model))


def _precision_help(run: published.Run, model: str) -> str:
    parity = loaders.model(run.study, run.version, model).metrics["parity"]
    accuracy = {name: theme.percent(parity[name]["accuracy"]) for name in inference.PRECISIONS}
    same = theme.percent(parity["int8"]["top1_agreement"])
    return (
        f"int8 is smaller and faster. On {theme.count(parity['n'])} validation pictures: "
        f"accuracy {accuracy['float32']} (float32) and {accuracy['int8']} (int8), the same answer "
        f"for {same}."
    )


def policy(run: published.Run, model: str) -> thresholds.Filed | None:
    """How automatic filing does on test, by the shop's target; None where none is written down."""
    try:
        return loaders.filed(run.study, run.version, model)
    except DataError:
        return None


# --- opening -------------------------------------------------------------------------------


def opening(setup: Setup, answer: str, extra: list[components.Figure]) -> None:
    """The finding of the page, and how well, how fast and how far the model answers."""
    record = loaders.model(setup.run.study, setup.run.version, setup.model)
    test = record.metrics["splits"]["test"]
    latency = record.metrics["cost"]["latency_ms"][setup.precision]
    basis = f"n = {theme.count(test['n'])} test"
    figures = [
        components.share_figure("Accuracy", test["metrics"]["accuracy"], basis),
        *extra,
        components.Figure(
            "Time per picture",
            f"{latency['value']:.2g} ms",
            f"{latency['low']:.2g}–{latency['high']:.2g} ms",
            f"n = {theme.count(latency['n'])} pictures",
            "One picture at a time, on the machine that published this version.",
        ),
    ]
    components.opening("Image classifier", answer, figures)


def policy_figures(filed: thresholds.Filed | None) -> list[components.Figure]:
    """How much is filed without a person on test, and how much of that is right."""
    if filed is None or filed.threshold is None:
        return []
    coverage, precision = filed.coverage, filed.precision
    return [
        components.Figure(
            "Filed automatically",
            theme.percent(coverage.value),
            theme.interval(coverage.low, coverage.high),
            f"n = {theme.count(filed.n)} test",
            f"Share of test pictures with at least {theme.confidence(filed.threshold)} confidence.",
        ),
        components.Figure(
            "Right among those",
            theme.percent(precision.value),
            theme.interval(precision.low, precision.high),
            f"n = {theme.count(filed.accepted)} test",
            f"Target: {theme.percent(filed.target, 0)}, chosen on validation pictures.",
        ),
    ]


def policy_sentence(filed: thresholds.Filed | None) -> str:
    """What happens to a photo, and how well that went on the test pictures."""
    if filed is None:
        return "Add a photo and see its category"
    if filed.threshold is None:
        return (
            f"A person should look at every photo: on validation pictures no confidence reaches "
            f"{theme.percent(filed.target, 0)} precision"
        )
    return (
        f"A photo with at least {theme.confidence(filed.threshold)} confidence is filed "
        "automatically, any other goes to a person"
    )


def photos_sentence(
    shown: list[tuple[uploads.Photo, uploads.Answer]], threshold: float | None
) -> str:
    """How many of the visitor's photos need a person."""
    alone = sum(answer.alone(threshold) for _, answer in shown)
    people = len(shown) - alone
    filed, seen = "can be filed automatically", "should be seen by a person"
    if len(shown) == 1:
        return f"Your photo {filed if alone else seen}"
    if not people or not alone:
        return f"All {len(shown)} photos {filed if alone else seen}"
    return f"{alone} of {len(shown)} photos {filed}, {people} {seen}"


# --- ways in -------------------------------------------------------------------------------


@components.section
def inbox(run: published.Run) -> None:
    """Files, camera, examples. What arrives is read at once and its bytes are given back."""
    turn = st.session_state.setdefault("inbox_turn", 0)  # a new key empties the uploader
    left, right = st.columns([2, 3], gap="large")
    with left:
        files = st.file_uploader(
            "Your photos",
            decoding.EXTENSIONS,
            accept_multiple_files=True,
            max_upload_size=UPLOAD_MB,
            key=f"files_{turn}",
            help=f"Up to {MAX_PHOTOS} photos. They are kept for this visit only, never stored.",
        )
        camera = None
        if st.toggle("Use the camera", key="camera_on"):
            camera = st.camera_input("Take a photo", key=f"camera_{turn}")
    with right:
        example = examples(run)
    if files or camera or example:
        given = [*files, *([camera] if camera else [])]
        st.session_state["inbox_turn"] = turn + 1
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
    """Pictures of the test split to click: one of each category; the clicked one, if any."""
    draw = st.session_state.setdefault("example_draw", 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Or click an example the model has never seen", width="content")
        if st.button("Others", icon=":material/shuffle:", type="tertiary"):
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
    """One stored test picture of each category (label, id, png), right as often as the model is.

    A run stores mostly mistakes, so each picture counts as often as its kind (category and answer)
    occurs among all test pictures.
    """
    # The gallery's photos are too small to be classified; they have files of their own.
    stored = "examples.parquet" if run.has("examples.parquet") else "gallery.parquet"
    rows = loaders.table(run.study, run.version, stored)
    rows = rows[rows["split"] == "test"]
    every = loaders.answers(run.study, run.version, run.default_model, "test")
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


# --- results -------------------------------------------------------------------------------


def results(setup: Setup, shown: list[tuple[uploads.Photo, uploads.Answer]]) -> None:
    """The table of all answers and a card for each photo."""
    missing = len(kept()) - len(shown)
    if missing:
        st.caption(f"{missing} photos were added before this study was published: add them again.")
    if not shown:
        st.markdown("**Nothing to show yet**")
        st.caption(
            "Drop photos into the field above, or click an example: the answer appears here."
        )
        return
    picked = results_table(setup, shown)
    cards(setup, [shown[picked]] if picked is not None else shown)


def results_table(setup: Setup, shown: list[tuple[uploads.Photo, uploads.Answer]]) -> int | None:
    """All answers, sortable, as CSV too; returns the place of the selected one."""
    frame = uploads.table(
        [photo for photo, _ in shown],
        [said for _, said in shown],
        setup.run.dataset["classes"],
        setup.threshold,
    )
    st.subheader(f"Results for {len(shown)} photo{'s' if len(shown) > 1 else ''}")
    event = st.dataframe(
        frame.assign(picture=[answers.data_uri(_seen(setup, photo)) for photo, _ in shown]),
        column_order=[
            *("picture", "file", "category", "confidence", "decision"),
            *("runner_up", "runner_up_confidence", "model_ms", "notes"),
        ],
        column_config={
            "picture": st.column_config.ImageColumn("", width="small", help="What the model saw"),
            "file": "Photo",
            "category": "Category",
            "confidence": st.column_config.ProgressColumn(
                "Confidence", format="percent", min_value=0, max_value=1
            ),
            "decision": "Decision",
            "runner_up": "Next best",
            "runner_up_confidence": st.column_config.NumberColumn("its share", format="percent"),
            "model_ms": st.column_config.NumberColumn("Model (ms)", format="%.2f"),
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
            frame, f"{setup.run.study}_{setup.run.version}_answers", key="answers_csv"
        )
        st.button("Remove all", icon=":material/delete:", type="tertiary", on_click=remove)
    rows = [row for row in event.selection.rows if row < len(shown)]
    return rows[0] if rows else None


def _seen(setup: Setup, photo: uploads.Photo) -> uploads.Pixels:
    """What the model sees of a photo, uint8 (H, W, C)."""
    return photo.inputs[shape_of(setup.run), setup.fit]


def cards(setup: Setup, shown: list[tuple[uploads.Photo, uploads.Answer]]) -> None:
    """A card for each photo, some per page."""
    if len(shown) == 1 and len(kept()) > 1:
        st.caption("Only the selected row. Clear the selection in the table to see all cards.")
    pages = -(-len(shown) // PER_PAGE)
    page = st.pagination(pages, key="cards") if pages > 1 else 1
    for photo, said in shown[(page - 1) * PER_PAGE : page * PER_PAGE]:
        with st.container(border=True):
            card(setup, photo, said)


@components.section
def card(setup: Setup, photo: uploads.Photo, said: uploads.Answer) -> None:
    """One photo: the photo, what the model saw, the evidence, the answer."""
    classes, key = setup.run.dataset["classes"], photo.sha256[:16]
    heading(setup, photo, said)
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(horizontal=True, gap="small"):
        with st.container(width=SIDE):
            uploaded(photo)
        with st.container(width=SIDE):
            answers.seen(_seen(setup, photo))
        with st.container(width=SIDE):
            answers.evidence(said, _seen(setup, photo), classes, key)
    with right:
        answers.bars(said, classes, setup.threshold, key)


def uploaded(photo: uploads.Photo) -> None:
    """The photo as it came, in its own proportions."""
    pixels = classifier.enlarge(images.from_png(photo.thumbnail), SIDE)
    st.image(
        pixels,
        caption="The photo",
        alt=f"The photo {photo.name}",
        width=min(pixels.shape[1], SIDE),  # else a narrow one is stretched to its caption's width
    )


def heading(setup: Setup, photo: uploads.Photo, said: uploads.Answer) -> None:
    """The answer in words, what to do with the photo, what was done to it, how long it took."""
    label = setup.run.dataset["classes"][said.best]
    with st.container(horizontal=True, vertical_alignment="center"):
        answers.verdict(said, setup.run.dataset["classes"], setup.threshold)
        if photo.truth is not None:
            right = photo.truth == label
            st.badge(
                f"Really {photo.truth}",
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
    done = "".join(f", {note}" for note in photo.notes)
    together = f", {said.batch} photos together" if said.batch > 1 else ""
    st.caption(
        f"{components.plain(photo.name)}: {photo.format}, {width} × {height}{done}. "
        f"Read in {photo.milliseconds:.0f} ms, classified in {said.milliseconds:.1f} ms{together}."
    )


def _remove_and_rerun(digest: str) -> None:
    remove(digest)
    st.rerun()  # the whole page: the table and the sentence change too


# --- page ----------------------------------------------------------------------------------


def limits(setup: Setup, way: str) -> None:
    """What the answers are and are not."""
    with st.expander("How to read the answers", icon=":material/help:"):
        names = theme.listing(setup.run.dataset["classes"])
        limit = "there is none" if setup.threshold is None else theme.confidence(setup.threshold)
        st.markdown(
            f"The model knows only these categories: {components.plain(names)}. A picture of "
            "anything else gets one of them too, often with high confidence, so only show it what "
            "it was made for. The confidence is calibrated on validation pictures. The threshold "
            f"({limit}) is chosen on them too, with the float32 model; the share filed and its "
            "precision are measured on test pictures. The evidence "
            "is the class-activation map of Zhou et al. (2016): what raised the score, not a "
            "proof of what the model understood."
        )
        if way == "Photos":
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
    shown: list[tuple[uploads.Photo, uploads.Answer]] = []
    with components.readable():  # an altered model: the rest of the page stands
        shown = answered(setup)
    answer = photos_sentence(shown, setup.threshold) if shown else policy_sentence(setup.filed)
    with header:
        opening(setup, answer, policy_figures(setup.filed))
    results(setup, shown)


def drawing_page(setup: Setup, header: DeltaGenerator) -> None:
    """A drawing in, its answer out."""
    run, model = setup.run, setup.model
    with header:
        opening(setup, canvas.sentence(run, model), canvas.figure(run, model))
    canvas.reading(run, model, setup.precision, setup.threshold)
    canvas.accuracy(run, model)


WAYS = {"Draw": drawing_page, "Photos": photos_page}

with components.readable():
    run = components.current_run()
    header = st.container()
    way = choose_way(run)
    setup = choose(run, way)
    WAYS[way](setup, header)
    limits(setup, way)
