"""What production saw, against what the policy allows.

read the log and the labels → one line of facts for each day and figure → look → show, alert

In: request logs and labels, both as hostile as whoever could write them. Out: facts without
personal data (:class:`mlgitops.model.monitoring.DayFact`), and what follows from them.
"""
