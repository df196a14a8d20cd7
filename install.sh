#!/usr/bin/env bash
# Sets the toolkit up in its checkout.
#
#   bash install.sh                 make .venv, install, print what to type next
#   bash install.sh demo            ... and post-train, score and evaluate on the embedded demo
#   bash install.sh test            ... and run the tests
#
#   --without-fairseq               leave the optional reference engine out
#   --here                          install into the active virtual or conda environment instead of .venv
#
# Needs Python 3.10 to 3.12. Repeats are quick and need no network: what was installed is remembered by a
# checksum of the files that say what to install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

UV_VERSION=0.13.9
say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

verb=setup fairseq=yes here=no
for word in "$@"; do
  case "$word" in
    demo|test) verb=$word ;;
    --without-fairseq) fairseq=no ;;
    --here) here=yes ;;
    -h|--help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown argument '$word': bash install.sh [demo|test] [--without-fairseq] [--here]" ;;
  esac
done

usable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

find_python() {
  for name in ${PYTHON:-} python3 python3.12 python3.11 python3.10 python; do
    if command -v "$name" >/dev/null && usable "$name"; then echo "$name"; return; fi
  done
  fail "no Python 3.10 to 3.12 found: install one, or name it as PYTHON=/path/to/python bash install.sh"
}

if [ "$here" = yes ]; then
  environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
  [ -n "$environment" ] || fail "--here needs an active virtual or conda environment: activate one, or leave --here out"
  python=$environment/bin/python
  usable "$python" || fail "$python is not Python 3.10 to 3.12: activate another environment"
else
  environment=$PWD/.venv
  python=$environment/bin/python
  if ! usable "$python"; then
    base=$(find_python)
    say "making .venv with $("$base" --version)"
    rm -rf "$environment"
    "$base" -m venv "$environment" ||
      fail "$base cannot make a virtual environment: install its venv module (Debian: apt-get install python3-venv)"
  fi
fi

stamp=$environment/.antideepfake-installed
wanted="$(cat pyproject.toml constraints.txt | cksum) fairseq=$fairseq"

install_packages() {
  # An environment made by uv holds no pip; the interpreter brings one.
  "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null 2>&1 ||
    fail "$python has neither pip nor ensurepip: install pip into that environment (uv pip install pip), or leave --here out"
  "$python" -m pip install --quiet "uv==$UV_VERSION" || fail "pip cannot install uv: is the package index reachable?"
  say "installing the packages (PyTorch with CUDA: about 5 GB, cached afterwards)"
  "$python" -m uv pip install --quiet --python "$python" -r pyproject.toml --extra test -c constraints.txt ||
    fail "the packages could not be installed: see the lines above"
  if [ "$fairseq" = yes ]; then
    say "building fairseq, the optional reference engine (a few minutes, once)"
    "$python" -m uv pip install --quiet --python "$python" -r pyproject.toml --extra test --extra fairseq \
        -c constraints.txt && "$python" -c 'import fairseq' >/dev/null 2>&1 ||
      say "warning: fairseq could not be built; everything but 'ssl_engine: fairseq' works without it"
  fi
  printf '%s' "$wanted" > "$stamp"
}

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then install_packages; fi

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
    cat <<EOF
Ready. Next:
  bash install.sh demo                                # train, score and evaluate a tiny detector in minutes
  $shown main.py --help                  # post-train, fine-tune, score
  $shown main.py score hparams/mms_300m.yaml speech.wav --ckpt_path mms-300m-anti-deepfake
EOF
    ;;
  demo) demo ;;
  test) exec "$python" -m pytest ;;
esac
