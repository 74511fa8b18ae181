"""The merged model becomes a version: counted, tagged with its lineage, read back, exported."""
