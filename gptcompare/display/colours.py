"""The colours of everything that is drawn: lines of a plot, models, and kinds of layers."""

# Okabe and Ito's palette, chosen to be told apart with any kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
