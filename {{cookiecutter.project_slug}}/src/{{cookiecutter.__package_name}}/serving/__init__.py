"""What `serve` answers requests with; no stage of the pipeline imports it.

front → protocol → compiled → transform → scoring: HTTP, the documents of the protocol, the
contract as checks of plain values, the model's numbers, its answer. `explaining` and `trees` give
the reasons for it, `files` checks what the server is given, `writing` sends answers in
one piece.

What became of a request goes from `observing` to `counters`, which Prometheus reads, and to
`log` → `redaction` → `log_files`: the request log.
"""
