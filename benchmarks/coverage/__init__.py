"""The designs of the coverage study: each module with a `DESIGN` is one part of its page."""
