"""One self-contained page of a run: the answer, the trade-offs, pictures, tables, and how sure all of it is."""
