"""The search for better parameters: trials on folds of the training rows, one of them proposed.

The test rows are never opened here: the pull request's own verdict opens them, once.
"""
