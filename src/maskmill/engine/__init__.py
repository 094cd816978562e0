"""The data engine: rounds of collecting, training and judging, until a model labels the rest.

gate        is the new model better, on images that no model ever learned from?
dataset     frozen masks that people answer for, as training and measuring read them
lineage     the models that rounds made: which is in use, and from which it came
children    child processes that can be paused, and that are never left behind
training    the child process in which a round trains
exporting   the child process that writes what browsers run
judging     the child process in which the gate measures
rounds      collect, train, evaluate, gate, promote; resumable at every step
queue       which images people see next, and why
proposals   masks that a model makes for people, at a precision that was measured
time_model  what people's actions cost, in seconds
prefilling  stage 2 in a project: sure masks on the images that people will see next
standing    where the engine stands, and what it suggests
oracle      a simulated person, who sees the truth and answers the model's masks
audit       what corrected samples say of the masks that nobody looked at
simulate    the whole engine, played on a labelled dataset
example     some rounds of a simulation, for projects that have none of their own
report      what it came to, for people
"""
