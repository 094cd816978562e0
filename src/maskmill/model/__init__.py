"""The promptable model of "Segment Anything": encoder, prompt encoder, two-way transformer, decoder.

One module per component of the paper (Kirillov et al., arXiv 2304.02643, section 3 and appendix A).
Parameters carry the names of the published checkpoints, so that those load by their own keys.
Importing this package imports torch; the floors below and plain inference never do.
"""
