"""Files that are read whole and written whole: the ground floor, which knows nothing of models.

`whole_file` reads no more than a bound, `atomic_files` writes several files so that either all or none appear,
`appended` adds lines to one, `lock` admits one process at a time, `stopping` lets a signal wait until all is written,
`texts` reads UTF-8 and JSON with one clear error, and `json_lines` reads one JSON object per line.
"""
