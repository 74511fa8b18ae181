"""What an audit holds against what, one function each. Reads git, the cache and the storage.

A check returns the sentence that says what was seen. It raises :class:`MlgitopsError` when that
contradicts the ledger, :class:`OpenError` when it could not be looked at from here,
:class:`AbsentError` when there is nothing to look at, and :class:`UnverifiedError` for a signature
whose key is not here.
"""
