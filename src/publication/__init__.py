"""What the notebooks do, one module per notebook step, up to a published version.

In: a study's specification and a draft. Out: a new version in `outputs/`.
Notebooks only; the one package that may import every other.
"""
