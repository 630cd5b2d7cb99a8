"""Files that are read whole and written whole: the ground floor, which knows nothing of models.

`atomic_files` writes several files so that all or none take their names, `lock` lets one process at a time at them,
`texts` reads UTF-8 and JSON with one clear error, and `json_lines` a JSON object on each line.
"""
