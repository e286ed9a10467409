"""One colour per class, the same in every figure and on every page.

The first six colours are Okabe and Ito's ("Color Universal Design", 2008) without their yellow and
black, which vanish on a white and on a dark page. The four others were chosen so that any two of
the ten stay apart for normal, protanopic and deuteranopic sight, and that each has a contrast of at
least 2:1 with white and with a dark page. tests/charts/test_notebook_plots.py holds all of that.
"""

PALETTE: tuple[str, ...] = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # green
    "#D55E00",  # vermilion
    "#CC79A7",  # pink
    "#56B4E9",  # sky
    "#A1C35C",  # olive
    "#8A4B1F",  # brown
    "#7B3FE4",  # violet
    "#0B5D4E",  # deep teal
)
GREY = "#8C8C8C"  # for what is not a class: references, totals, "all"
SPLITS = {"train": 1.0, "validation": 0.65, "test": 0.35}  # opacity of a class's colour
CHANNELS = {"red": PALETTE[3], "green": PALETTE[2], "blue": PALETTE[0], "grey": GREY}


def class_colour(index: int) -> str:
    """Return the hex colour of the class at `index` in model order; colours repeat after ten."""
    return PALETTE[index % len(PALETTE)]
