"""What git wants and what was seen of an environment, into one effect after another.

`decision` is pure: by what was `observed` it chooses the next of the `effects`. `reconcile` has a
target's driver perform it, in `turns` with other runs on this host; `outcomes` says how it ended.
"""
