"""Files from their publishers to this machine: fetched once, whole, verified, and kept.

Read `environment` (what the user's environment allows), `publishers` and `data_publishers` (addresses), `remote_file`
(what is known of a file before it is here), `transfer` (one file over HTTP), `cache` (what is here), `fetch` (all files
of a model) and `published_file` (one file that is no part of a model).
"""
