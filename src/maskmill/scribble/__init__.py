"""Visual Prompting: strokes teach a classifier of pixels, and rules make it fit for use.

`strokes` and `simulate` say what was drawn, `features` and `pixels` what pixels look like,
`classifier` joins the two; `rules`, `shaping` and `verdict` turn probabilities into regions and a
verdict. It runs on ONNX Runtime, OpenCV and NumPy; training needs scikit-learn.
"""
