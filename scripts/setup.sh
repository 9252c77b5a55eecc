#!/usr/bin/env bash
# Gets a machine ready to build Rowlane; a second run finds everything in place and does nothing.
#   setup.sh STAMP        compilers and libraries from Debian, LibTorch and, if there is none, a CUDA toolkit in .venv
#   setup.sh lint STAMP   the linters
#   setup.sh python STAMP what builds and tests the Python package
# Environment: ROWLANE_CUDA=OFF for no toolkit; Torch_DIR or CMAKE_PREFIX_PATH for a LibTorch of one's own;
# CUDAToolkit_ROOT, CUDA_HOME or PATH for a toolkit of one's own.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# Installs the Debian packages among "$@" that are missing, or says how to.
debian_packages() {
  command -v dpkg-query >/dev/null || return 0  # another distribution: the build names what it misses
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    say "These packages are missing. Install them with:"
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  say "Installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

python_environment() {
  [ -x .venv/bin/python ] || { say "Creating .venv"; python3 -m venv .venv; }
}

pip_install() { .venv/bin/python -m pip install --disable-pip-version-check --no-cache-dir --quiet "$@"; }

# True when the user names a LibTorch.
has_own_torch() {
  [ -n "${Torch_DIR:-}" ] && return 0
  local prefix
  for prefix in $(tr ':;' '  ' <<<"${CMAKE_PREFIX_PATH:-}"); do
    [ -e "$prefix/share/cmake/Torch/TorchConfig.cmake" ] || [ -e "$prefix/Torch/TorchConfig.cmake" ] && return 0
  done
  return 1
}

# True when the machine has an nvcc of the major version that torch was built with.
has_own_toolkit() {
  local nvcc
  for nvcc in "${CUDAToolkit_ROOT:+$CUDAToolkit_ROOT/bin/nvcc}" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" \
    "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
    if [ -x "$nvcc" ] && "$nvcc" --version | grep -q 'release 13\.'; then return 0; fi
  done
  return 1
}

install_torch() {
  if has_own_torch; then
    say "Using the LibTorch that the environment names"
  elif [ "${ROWLANE_CUDA:-ON}" = OFF ]; then
    say "Installing torch for the CPU into .venv (1.5 GB on disk, about a minute)"
    pip_install --no-deps -r scripts/requirements-cpu.txt
  else
    say "Installing torch into .venv (5 GB on disk, one to three minutes)"
    pip_install -r scripts/requirements.txt
  fi
  pip_install -r scripts/requirements-plot.txt
}

install_toolkit() {
  [ "${ROWLANE_CUDA:-ON}" = OFF ] && return 0
  has_own_toolkit && return 0
  say "Installing the CUDA 13.0 toolkit into .venv (0.3 GB to download; this machine has none)"
  pip_install -r scripts/requirements-cuda.txt
  local root
  for root in .venv/lib/python3*/site-packages/nvidia/cu13; do
    # nvcc looks in lib64, and the linker for the unversioned name.
    ln -sfn lib "$root/lib64"
    ln -sfn libcudart.so.13 "$root/lib/libcudart.so"
  done
}

main() {
  if [ "${1:-}" = lint ]; then
    shift
    debian_packages python3-venv g++-aarch64-linux-gnu
    python_environment
    say "Installing clang-format and clang-tidy into .venv (0.2 GB on disk)"
    pip_install -r scripts/requirements-lint.txt
  elif [ "${1:-}" = python ]; then
    shift
    say "Installing what builds and tests the Python package into .venv (0.2 GB on disk)"
    pip_install -r scripts/requirements-python.txt
  else
    debian_packages g++ cmake ninja-build make git ca-certificates python3-venv \
      libgtest-dev libcli11-dev nlohmann-json3-dev libutf8proc-dev
    python_environment
    install_torch
    install_toolkit
  fi
  mkdir -p "$(dirname "$1")"
  touch "$1"
}

main "$@"
