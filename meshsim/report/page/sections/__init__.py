"""The sections of the page: each a module with one function, from a study to what its template shows."""
