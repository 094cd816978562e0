"""Teaching the pixel encoder, once, what carries over from strokes on one image to the next.

`shapes` and `looks` make up projects: images in which something of a kind stands out. `episodes`
asks for strokes on one of them, or on labelled photographs, and for the answer on others. `learn`
trains on thousands of these. Nothing of it runs where Visual Prompting is used.
"""
