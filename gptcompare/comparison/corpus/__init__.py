"""A text as more than its tokens: the sentences in it, and how far a mean over its tokens can be trusted.

`sentences` says where a sentence ends. `blocks` computes standard errors of what is measured at every token, where
neighbouring tokens are alike. `differences`, in the room above, uses both.
"""
