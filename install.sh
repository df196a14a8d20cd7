#!/usr/bin/env bash
# Sets the toolkit up in its checkout.
#
#   bash install.sh                 make .venv, install the core, print what to type next
#   bash install.sh demo            ... and post-train, score and evaluate on the embedded demo
#   bash install.sh test            ... with every optional part, and run the tests
#   bash install.sh docs            ... and build the manual into site/; a broken link fails
#
#   --with NAME                     an optional part as well (pyproject.toml lists them); may be repeated
#   --without-fairseq               'test' without the reference engine, which needs a C++ compiler
#   --here                          install into the active virtual or conda environment instead of .venv
#
# Needs Python 3.10 to 3.13; where there is only another one, uv fetches 3.12. Nothing but the reference
# engine is compiled. An optional part that cannot be had is left out with one sentence. Repeats are quick
# and need no network: what was installed is remembered, with a checksum of the files that say what.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

UV_VERSION=0.13.9
PYTHONS="3.10 to 3.13"
say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# "NAME what it is for", a line an optional part, from the comments of pyproject.toml.
parts() {
  sed -n '/^\[project.optional-dependencies\]/,/^\[tool/s/^\([a-z0-9_-]*\) = \[[^#]*#* *\(.*\)/\1 \2/p' pyproject.toml
}

verb=setup here=no wanted=() unwanted=none
while [ $# -gt 0 ]; do
  case "$1" in
    demo|test|docs) verb=$1 ;;
    --with)
      parts | grep -q "^${2:-} " || fail "--with ${2:-}: the optional parts are $(parts | cut -d' ' -f1 | paste -sd' ')"
      wanted+=("$2"); shift ;;
    --without-fairseq) unwanted=fairseq ;;
    --here) here=yes ;;
    -h|--help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown argument '$1': bash install.sh [demo|test|docs] [--with NAME] [--without-fairseq] [--here]" ;;
  esac
  shift
done
if [ "$verb" = test ]; then
  for part in $(parts | cut -d' ' -f1); do [ "$part" = $unwanted ] || wanted+=("$part"); done
fi

[ "$verb" != docs ] || wanted+=(docs)

usable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    usable "$PYTHON" || fail "PYTHON=$PYTHON is not Python $PYTHONS: name another, or leave it out"
    echo "$PYTHON"; return
  fi
  for name in python3 python3.13 python3.12 python3.11 python3.10 python; do
    if command -v "$name" >/dev/null && usable "$name"; then echo "$name"; return; fi
  done
  fetch_python ||
    fail "no Python $PYTHONS is here and none could be fetched: install one (Debian: apt-get install python3 python3-venv; conda: conda create -n antideepfake python=3.12), or name it as PYTHON=/path/to/python bash install.sh"
}

# The path of a Python that uv downloads; uv itself installs into any Python from 3.8 on.
fetch_python() {
  local uv=uv helper=$environment.uv any
  say "no Python $PYTHONS is here: having uv fetch 3.12"
  if ! command -v uv >/dev/null; then
    any=$(command -v python3 || command -v python) && "$any" -m venv "$helper" >/dev/null 2>&1 &&
      "$helper/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" >/dev/null 2>&1 || { rm -rf "$helper"; return 1; }
    uv=$helper/bin/uv
  fi
  "$uv" python install --quiet 3.12 2>/dev/null && "$uv" python find 3.12 2>/dev/null || { rm -rf "$helper"; return 1; }
  rm -rf "$helper"
}

if [ "$here" = yes ]; then
  environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
  [ -n "$environment" ] || fail "--here needs an active virtual or conda environment: activate one, or leave --here out"
  python=$environment/bin/python
  usable "$python" || fail "$python is not Python $PYTHONS: activate another environment"
else
  environment=$PWD/.venv
  python=$environment/bin/python
  if ! usable "$python"; then
    base=$(find_python)
    say "making .venv with $("$base" --version)"
    rm -rf "$environment"
    "$base" -m venv "$environment" >/dev/null ||
      fail "$base cannot make a virtual environment: install its venv module (Debian: apt-get install python3-venv)"
  fi
fi

# The stamp holds the checksum and the names of the parts that are in the environment.
stamp=$environment/.antideepfake-installed
checksum=$(cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
read -r former installed 2>/dev/null < "$stamp" || { former=none installed=; }
if [ "$former" != "$checksum" ]; then
  for part in $installed; do  # they move with the core, those that are still offered
    if [ "$part" != core ] && parts | grep -q "^$part "; then wanted+=("$part"); fi
  done
  installed=
fi
has() { case " $installed " in *" $1 "*) ;; *) false ;; esac; }
remember() { has "$1" || installed="$installed $1"; echo "$checksum $installed" > "$stamp"; }

find_uv() {
  # An environment made by uv holds no pip; the interpreter brings one.
  "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null 2>&1 ||
    fail "$python has neither pip nor ensurepip: install pip into that environment (uv pip install pip), or leave --here out"
  "$python" -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" || fail "pip cannot install uv: is the package index reachable?"
}

packages() { "$python" -m uv pip install --quiet --python "$python" -r pyproject.toml -c constraints.txt "$@"; }

install_core() {
  find_uv
  say "installing the packages (PyTorch with CUDA: about 5 GB, cached afterwards)"
  packages || fail "the packages could not be installed: see the lines above"
  remember core
}

install_part() {
  local why="" log=$environment/install-$1.log
  if [ "$1" = fairseq ]; then
    command -v "${CXX:-c++}" >/dev/null || why="it is built from source and there is no C++ compiler"
    [ -n "$why" ] || say "building fairseq (a few minutes, once)"
  fi
  if [ -z "$why" ]; then
    if packages --extra "$1" > "$log" 2>&1; then remember "$1"; rm -f "$log"; return; fi
    why="the installer's words are in $log"
  fi
  say "left out: $(parts | grep "^$1 " | sed 's/ /, /'): $why"
}

has core || install_core
for part in ${wanted[@]+"${wanted[@]}"}; do has "$part" || install_part "$part"; done

shown=.venv/bin/python
[ "$here" = no ] || shown=python

run() { say ""; say "\$ $shown ${*:2}"; "$@"; }

# The main job on the embedded demo corpus, in the very commands the manual teaches.
demo() {
  local base=demo_run exp=embedded
  local common=(hparams/w2v_tiny.yaml --base_path $base --exp_name $exp --protocol_folder $base/protocols)
  run "$python" -m protocols make demo --data_folder $base/Data --output_folder $base/protocols
  run "$python" main.py "${common[@]}"
  run "$python" main.py inference "${common[@]}"
  run "$python" evaluation.py $base/Log/exps/exp_w2v_tiny_$exp/evaluation_score.csv
}

case "$verb" in
  setup)
    cat <<EOT
Ready. Next:
  bash install.sh demo                                # train, score and evaluate a tiny detector in minutes
  $shown main.py --help                  # post-train, fine-tune, score
  $shown main.py score hparams/mms_300m.yaml speech.wav --ckpt_path mms-300m-anti-deepfake
EOT
    ;;
  demo) demo ;;
  docs)
    has docs || fail "the manual cannot be built without its packages"
    NO_MKDOCS_2_WARNING=1 "$python" -m mkdocs build ||
      fail "the manual could not be built: see the lines above"
    say "the manual is site/index.html" ;;
  test)
    has test || fail "the tests cannot run without their packages"
    exec "$python" -m pytest ;;
esac
