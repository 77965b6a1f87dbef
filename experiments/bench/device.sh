#!/bin/sh
# Measure one GPU within eight minutes, with random weights, on a machine without a network that has torch,
# transformers, peft and pyarrow.
#
#   device.sh pack [3.12]   where there is a package index: put into build/device what such a machine may lack, as
#                           packages for its Python, a few MB; carry that folder along with the checkout
#   device.sh [--dry]       there: print a table, and leave it and its numbers in $OUT (build/device-out without it)
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
if [ "${1:-}" = pack ]; then
    rm -rf build/device
    exec "$PYTHON" -m pip install --quiet --target build/device --python-version "${2:-3.12}" \
        --implementation cp --platform manylinux2014_x86_64 --only-binary=:all: pydantic
fi
OUT=${OUT:-build/device-out}
mkdir -p "$OUT"
export PYTHONPATH="$PWD:$PWD/build/device" HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
"$PYTHON" -m experiments.bench.device --to "$OUT" "$@" | tee "$OUT/device.md"
