"""Files from their publishers to this machine: fetched once, whole, verified, and kept.

Read `environment` (what the user's environment allows), `publishers` and `data_publishers` (addresses), `remote_file`
(what a server announces about a file), `transfer` (one file over HTTP), `cache` (what is on this machine), `fetch`
(all files of a model) and `published_file` (one file that is not part of a model).
"""
