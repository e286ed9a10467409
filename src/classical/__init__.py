"""Classical models on pixels with scikit-learn: plan, search, fit, store, ensembles.

In: a `Dataset` and the plan of a study. Out: fitted estimators with their settings and answers.
Notebooks only; imports `serving`, `runs`, `data` and `evaluation`.
"""
