"""GitOps for machine-learning models: read, parse, diff, judge, render, post."""

__version__ = "0.1.0"
