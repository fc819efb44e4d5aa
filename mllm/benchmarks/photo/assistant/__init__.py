"""The critique assistant: a folder of photographs in, a page with a critique of each out.

files         the files of a folder
photographs   a file -> an upright sRGB picture, or why it was passed over
asking        pictures -> what the model says of them, and which encoders it used
page          one offline page a folder
command       all of it, for ``python -m experiments.critique``
"""
