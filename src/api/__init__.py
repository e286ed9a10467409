"""The HTTP API: what is published, and predictions for pictures that a program sends."""
