"""Two revisions of a project into facts: what changed, by how much, how sure."""
