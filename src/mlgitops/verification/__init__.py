"""What the trusted half believes of a report: held against itself, the policy, and git.

:mod:`~mlgitops.verification.consistency` and :mod:`~mlgitops.verification.agreement` are pure:
facts and a report in, contradictions out. :mod:`~mlgitops.verification.record` reads the facts.
"""
