"""Byte formats that tensors are stored in: each reader gives name -> array and knows nothing of models.

`tensor_file` has what they share: mapping a file, and taking an array from a place in it that was checked.
"""
