"""The only package that knows the inside of `outputs/`: read, verify, draft, publish, describe.

In: frames, JSON and bytes from `publication`. Out: `Run` and `ModelRecord`, the overview of all
studies, model cards and the tables of the documents. Imports `data` and `evaluation`.
"""
