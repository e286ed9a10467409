"""What images there are: studies, sources and formats, own folders and their audit, decoding.

In: `inputs/` (study files, downloaded data, own folders) and untrusted bytes of uploads.
Out: a `StudySpec`, a split `Dataset`, decoded images, frames of the exploration. Imports
`evaluation`.
"""
