"""Inference without TensorFlow: served models, uploads, drawings.

In: a published run and decoded images. Out: probabilities, decisions and what explains them.
Deployed; imports `runs`, `data` and `evaluation`.
"""
