"""Labels and probabilities in, evidence out: metrics, intervals, tests, thresholds, verdicts.

In: arrays and frames. Out: estimates with intervals, tables and verdicts.
Pure: reads no run and no file but the one it is given; imports nothing of ours but `config`.
"""
