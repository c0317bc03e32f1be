# The commands of the project. `make run` and `make test` install what is missing, on Debian 12 and its like.
SHELL := /bin/bash
PREFIX ?= /usr/local
DESTDIR ?=
VENV := .build/venv
PYTHON := $(VENV)/bin/python

.PHONY: help setup build lib package run test bench fuzz install clean

help:
	@echo "make setup    install what is missing: Debian packages, a private Python environment, test peers"
	@echo "make build    release build: libmeshnet.so and the command-line program"
	@echo "make lib      libmeshnet.so alone"
	@echo "make run      three nodes, in Swift, C and Python, talk to each other; PEERS=ADDR[,ADDR] joins others instead"
	@echo "make test     every suite; SUITES=\"swift c\" picks some"
	@echo "make bench    the table of the race, as ratios to what the machine and others can do; BENCH=\"streams --rounds 9\""
	@echo "make fuzz     fuzz every parser; SECONDS_EACH=60, TARGET=name for one"
	@echo "make install  header, library, pkg-config file, command; PREFIX=/usr/local DESTDIR="
	@echo "make clean    remove everything built"

setup:
	@scripts/setup.sh

lib: setup
	@scripts/build-library.sh

build: lib
	@scripts/build-command.sh

# The Python package goes into the private environment with the library that was just built.
package: lib
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation --force-reinstall --no-deps ./python

run: build package
	@$(PYTHON) scripts/run.py $(if $(PEERS),--peers '$(PEERS)')

test: setup
	@$(PYTHON) scripts/test.py $(SUITES)

bench: build package
	@$(PYTHON) bench/run.py $(BENCH)

fuzz: setup
	@scripts/fuzz.sh run $(TARGET)

install: build
	@scripts/install.sh '$(DESTDIR)' '$(PREFIX)'

clean:
	@rm -rf .build
