"""The report's pictures, as SVG made of text.

`drawing` has the pieces. `architecture` draws models from text to the next token, `results` what they scored.
"""
