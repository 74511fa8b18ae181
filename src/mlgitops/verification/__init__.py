"""What the trusted half believes of a report: held against itself, the policy, and git.

:mod:`~mlgitops.verification.record` reads what git holds. The others are pure, a report and such
facts in: :mod:`~mlgitops.verification.consistency` and
:mod:`~mlgitops.verification.contradictions` list what cannot be true, the latter by git;
:mod:`~mlgitops.verification.claims` names what nobody but the run vouches for, and
:mod:`~mlgitops.verification.corrections` takes git's word in the report's place.
"""
