#!/bin/sh
# Stands for `pg_verifybackup`, which the wheel of Postgres has and cannot run: a copy against its own manifest.
for directory; do :; done
cd "$directory" || exit 1
sed -n 's/.*"Path": "\([^"]*\)".*"Checksum": "\([0-9a-f]*\)".*/\2  \1/p' backup_manifest | sha256sum --check --quiet
