#!/usr/bin/env bash
# Fetches DuckDB's own library and the extensions that a lake needs, by exact version and SHA-256, into .cache/duckdb.
# Needs npm, python3 with pip and tar. Does nothing when all files are there.
set -euo pipefail
cd "$(dirname "$0")/.."
DEST=.cache/duckdb
VERSION=1.5.5

case "$(uname -m)" in
  x86_64)
    node=linux-x64 wheel=manylinux2014_x86_64
    lib=86d2bda909785550e8a14a57a8a4584827aff0e268d8f1a58c3fd48559f7020e
    ducklake=b631ae4dd4bd649b3db35a789dbcc859476fe231ef449b3f03f4fe4e2ef4a946
    sqlite=0af00f8e4e6e0562e0fac1bb22d5c4a29d616a664da4194b51cbd26355b9a0c2 ;;
  aarch64)
    node=linux-arm64 wheel=manylinux2014_aarch64
    lib=3b85f3ea438f7dc3691d7b5e6e4222ffe9127fd17885f96ca72e0c99925c348e
    ducklake=cd8280d3a20c744f7e113137a17a053f751b9cc469a9b694c43e1b8539fd30af
    sqlite=8ecdf91ba4572fcee32500919b7cd2717d74d2bfe65c2910ad2b1c4b9d9b0c07 ;;
  *) echo "fetch-duckdb: DuckDB $VERSION is not published for $(uname -m); build with the crate feature 'bundled'" >&2; exit 1 ;;
esac

stamp=$DEST/.fetched
want="$VERSION $lib $ducklake $sqlite"
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0

need() { command -v "$1" >/dev/null || { echo "fetch-duckdb: $1 is missing: install it first" >&2; exit 1; }; }
need npm; need python3
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

retry() { local n; for n in 1 2 3; do "$@" && return 0; echo "fetch-duckdb: attempt $n of 3 failed: $*" >&2; done; return 1; }
retry npm pack --silent --pack-destination "$work" "@duckdb/node-bindings-$node@$VERSION-r.5" >/dev/null
for extension in ducklake sqlite-scanner; do
  retry python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --platform "$wheel" \
    --dest "$work" "duckdb-extension-$extension==$VERSION"
done
( cd "$work" && sha256sum --check --quiet ) <<EOF
$lib  duckdb-node-bindings-$node-$VERSION-r.5.tgz
$ducklake  duckdb_extension_ducklake-$VERSION-py3-none-$wheel.whl
$sqlite  duckdb_extension_sqlite_scanner-$VERSION-py3-none-$wheel.whl
EOF

mkdir -p "$DEST"
tar -xzf "$work/duckdb-node-bindings-$node-$VERSION-r.5.tgz" -C "$work" package/libduckdb.so package/LICENSE
python3 - "$work" "$VERSION" <<'EOF'
import glob, os, sys, zipfile
work, version = sys.argv[1:]
for wheel in glob.glob(os.path.join(work, "*.whl")):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            if name.endswith(f"/v{version}/{os.path.basename(name)}") and name.endswith(".duckdb_extension"):
                with open(os.path.join(work, os.path.basename(name)), "wb") as out:
                    out.write(z.read(name))
EOF
# Moved into place one by one; the stamp comes last, so a broken fetch is done again.
mv "$work/package/libduckdb.so" "$DEST/libduckdb.so"
mv "$work/package/LICENSE" "$DEST/LICENSE.duckdb"
mv "$work/ducklake.duckdb_extension" "$work/sqlite_scanner.duckdb_extension" "$DEST/"
echo "$want" > "$stamp"
echo "fetch-duckdb: DuckDB $VERSION for $(uname -m) is in $DEST"
