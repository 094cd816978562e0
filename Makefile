# The two commands of the README, and the chores behind them. All use .venv at the root and make
# it where it is missing; versions are those of constraints.txt.
#
#   make demo    install, segment photographs, write demo/index.html, open the tool with the engine
#   make test    install everything, run every check and every test
#   make browser  drive the annotation tool in Chromium
#   make nightly  kill writers 200 times and imports 100 times, and fuzz importers for a minute
#   make tiny    train the embedded default again: DATA=LABELLED, hours on two cores
#   make tiny-gpu  train it longer, on one GPU: DATA=LABELLED
#   make pixels  teach Visual Prompting's pixel encoder again: DATA=LABELLED TEXTURES=PHOTOGRAPHS
#   make lint    only the checks that need no test: layers, style, types
#   make clean   remove .venv and what the commands above wrote

PYTHON ?= python3
BIN := .venv/bin
# Python compiles what is imported, when it first is: half of the packages' modules never are, and
# tests start hundreds of processes that all want the compiled ones.
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PIP_NO_COMPILE := 1
unexport PYTHONDONTWRITEBYTECODE
WORKERS ?= 2

.PHONY: demo test browser nightly tiny tiny-gpu pixels lint clean

demo: .venv/.demo
	$(BIN)/maskmill demo -o demo --serve

# One thread per worker: two workers with two threads each only wait for one another. Each takes
# whole files, in the order of their names.
test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder

# Only Chromium through the annotation tool; `make test` does that too.
browser: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser

# What takes too long for every change: some ten minutes.
nightly: .venv/.dev
	$(BIN)/python benchmarks/kill.py --kills 200 --imports 100
	MASKMILL_FUZZ_SECONDS=60 $(BIN)/python -m pytest -q -s tests/test_import_fuzz.py tests/test_rle.py -k "damaged or fuzzed"
	MASKMILL_EXAMPLES=60 $(BIN)/python -m pytest -q tests/server/test_app.py -k mistake_of_ours

TRAIN = OMP_NUM_THREADS=1 $(BIN)/torchrun --nproc-per-node 2 -m -- maskmill train $(DATA) --split train
RECIPE = src/maskmill/weights/tiny/recipe
RUNS ?= runs/tiny

# Stopped at any moment, it goes on where it was. Leaves the model in $(RUNS)/tiny.
tiny: .venv/.dev
	@test -n "$(DATA)" || { echo "say what to train on: make tiny DATA=FOLDER"; exit 1; }
	$(TRAIN) --config $(RECIPE)-1.toml --run $(RUNS)/first
	test -d $(RUNS)/start || $(BIN)/maskmill model export $(RUNS)/first/model --out $(RUNS)/start --float16
	$(TRAIN) --config $(RECIPE)-2.toml --start-from $(RUNS)/start --run $(RUNS)/second
	$(BIN)/maskmill model export $(RUNS)/second/model --out $(RUNS)/tiny --float16

# The same from one run on one GPU; DEVICE="--device cpu --precision float32" tries it without one.
tiny-gpu: .venv/.dev
	@test -n "$(DATA)" || { echo "say what to train on: make tiny-gpu DATA=FOLDER"; exit 1; }
	$(BIN)/maskmill train $(DATA) --split train --config $(RECIPE)-gpu.toml --run $(RUNS)/gpu $(DEVICE)
	$(BIN)/maskmill model export $(RUNS)/gpu/model --out $(RUNS)/tiny --float16

SOURCES = coco_subset coco_street4 animals7 cats household10 ccp_clothing building_facade \
	indonesian_food fire_trucks strawberry mushroom

# Under an hour on two cores. Leaves what ships in src/maskmill/weights/pixels in runs/pixels/out.
pixels: .venv/.dev
	@test -n "$(DATA)" -a -n "$(TEXTURES)" || { echo "say what to teach on: make pixels DATA=FOLDER TEXTURES=FOLDER"; exit 1; }
	OMP_NUM_THREADS=1 $(BIN)/torchrun --nproc-per-node 2 -m -- maskmill.scribble.pretrain $(DATA) \
		--textures $(TEXTURES) --sources $(SOURCES) --run runs/pixels --out runs/pixels/out

lint: .venv/.dev
	$(BIN)/python -m pytest -q tests/test_layers.py

clean:
	rm -rf .venv demo runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "maskmill needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.demo: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "Installing maskmill, its demo photographs and PyTorch into .venv (a minute or two, once) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[demo,server,export,scribble]'
	@touch $@

# segment-anything is what the parity tests compare with. Its own requirements are not declared,
# so nothing must be resolved for it.
.venv/.dev: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "Installing maskmill with PyTorch and the test tools into .venv (some minutes, once) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@$(PIP) install --quiet --constraint constraints.txt --no-deps segment-anything
	@touch $@ .venv/.demo
