"""The HTTP API (FastAPI): what is published, and predictions for the images a program sends.

In: requests, with their limits. Out: JSON in the shapes of `schemas`.
Imports `serving` and what lies to its right.
"""
