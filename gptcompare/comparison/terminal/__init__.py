"""A comparison on a terminal: texts in `columns`, and what can be said about them in the `summary`."""
