"""The last step of the line: what GitHub told us, and what we post there.

Nothing here judges. A failure to post never changes a verdict.
"""
