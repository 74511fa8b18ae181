"""What the stages stand on, and whoever tunes a model seldom edits.

Files (`paths`, `tables`, `documents`, `storing`), what a person reads (`card`, `curves`), the rows
by which a deployed model is recognised (`golden`), and how a stage ends (`errors`). dvc.yaml names
this folder once a stage, so an edit here runs all of them again.
"""
