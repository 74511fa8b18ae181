"""What `serve` answers requests with; no stage of the pipeline imports it.

front → protocol → compiled → scoring, and `explaining` beside it: HTTP, the documents of the
protocol, the contract as checks of plain values, the model's answer, and the reasons for it.
"""
