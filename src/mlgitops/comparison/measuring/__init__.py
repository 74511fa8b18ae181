"""A stored model, measured on stored rows by the code of one revision.

`plan` says which stages of that revision measure and what they need, `run` lays all of it out in
a folder of its own and runs them there. Which model, which rows and which code is the caller's
choice: base's model on head's rows (`rescore`) or its own (`base`), another revision's on base's.
Whoever made the model has no part in it: only the code of the chosen revision runs.
"""
