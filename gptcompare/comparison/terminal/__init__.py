"""A comparison on a terminal: texts in `columns`, `live` while they are written, and what can be said below them.

`closing` says it in a few lines, `summary` in full.
"""
