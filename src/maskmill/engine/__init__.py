"""The data engine: rounds of collecting, training and judging, until a model labels the rest.

gate        is the new model better, on images that no model ever learned from?
holdout     which images those are
rounds      collect, train, evaluate, gate, promote; resumable at every step
proposals   masks that a model makes for people, at a precision that was measured
time_model  what people's actions cost, in seconds
oracle      a simulated person, who sees the truth and answers the model's masks
audit       what corrected samples say of the masks that nobody looked at
simulate    the whole engine, played on a labelled dataset
"""
