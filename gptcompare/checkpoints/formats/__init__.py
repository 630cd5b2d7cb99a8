"""Byte formats in which tensors are stored: each reader returns name -> array and knows nothing of models.

`tensor_file` has what they share: mapping a file, and taking an array from a checked place in it.
"""
