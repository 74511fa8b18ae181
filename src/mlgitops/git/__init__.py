"""Revisions, files at them, commits and tags: the one room that runs git."""
