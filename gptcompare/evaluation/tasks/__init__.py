"""Tasks: where their files are, what their items are, how a model is asked, and how its answers are scored.

Read `task` first. `items` defines what a file contains, and `protocols` how an item is asked and scored. `published`
lists the published tasks, whose files `data_files` finds and `readers` reads; `detokenizers` undoes the tokenization of
two of them. Tasks of your own are made of the same classes.
"""
