"""A policy and facts into a verdict, with its reasons. Pure; it imports no comparison."""
