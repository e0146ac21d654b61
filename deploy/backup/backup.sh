#!/usr/bin/env bash
# Backups of Postgres to any moment: whole copies, and beside them every change as it is written.
#
#   backup run                  copy every day and receive all changes: what the service `backup` does
#   backup now                  make a copy at once
#   backup list                 the copies, and up to when each history goes on
#   backup verify               restore the newest copy and all changes beside it, and read every row of that
#   backup restore [--at TIME]  replace the stopped database by what it was then (UTC; without it: the last change)
#   backup healthy              exit status 0 while changes are received
#
# What is where, below $BACKUPS: a history (HISTORY/copies/MOMENT, HISTORY/changes) begins with the first start, after
# each restore, and where changes were missed; a copy is named by the moment from which it can be restored. `status` is
# what `trader doctor` reads.
#
# Invariant: a copy has its name only once its checksums were compared, and what a restore replaces is moved aside.
#
#   PGDATA, PGHOST, PGPORT   the database's directory, and where its server is
#   PASSWORD_FILE            the password of the role `backup`
#   EVERY_S, VERIFY_EVERY_S  how old the newest copy becomes, and the last `verify`
#   KEEP                     how many copies are kept, with the changes since the oldest of them
#   RESERVE_PCT              how much of a disk a copy leaves free, or is not made
set -euo pipefail
umask 077
export LC_ALL=C TZ=UTC PGCONNECT_TIMEOUT=3

BACKUPS=${BACKUPS:-/var/lib/backups}
PGDATA=${PGDATA:-/var/lib/postgresql/data/cluster}
EVERY_S=${EVERY_S:-86400}
VERIFY_EVERY_S=${VERIFY_EVERY_S:-604800}
KEEP=${KEEP:-2}
RESERVE_PCT=${RESERVE_PCT:-10}
LOOK_S=${LOOK_S:-5}
STALE_S=60
RETRY_S=600
LOCK_S_MAX=600
RECOVERY_S_MAX=14400
SLOT=backup
MOMENT='2???????T??????Z'
self=$(readlink -f "${BASH_SOURCE[0]}")

say() { echo "backup: $*" >&2; }
die() { say "$*"; exit 1; }
moment() { date +%Y%m%dT%H%M%SZ; }
in_seconds() { date -d "$(sed -E 's/^(....)(..)(..)T(..)(..)(..)Z$/\1-\2-\3 \4:\5:\6/' <<< "$1")" +%s; }
age_s() { echo $(($(date +%s) - $(in_seconds "$1"))); }
histories() { find "$BACKUPS" -mindepth 1 -maxdepth 1 -type d -name "$MOMENT" | sort; }
newest_history() { histories | tail -n 1; }
copies() { find "$BACKUPS" -mindepth 3 -maxdepth 3 -type d -path "${1:-*}/copies/$MOMENT" | sort; }  # copies [HISTORY]
newest_copy() { copies "$(newest_history)" | tail -n 1; }  # of an older history it would bring back what is over
verified() { cat "$BACKUPS/verified" 2> /dev/null || true; }

log_in() {  # by a file: a password in the environment or in the arguments is seen by others
    export PGUSER=backup
    [[ ! ${PGPASSFILE:-} ]] || return 0
    PGPASSFILE=$(mktemp)
    export PGPASSFILE
    login=$PGPASSFILE
    printf '*:*:*:backup:%s\n' "$(< "$PASSWORD_FILE")" > "$PGPASSFILE"
}

only_one() {
    exec {lock}> "$BACKUPS/.lock"
    flock --nonblock "$lock" || say "waiting for another backup or restore to end"
    flock --timeout "$LOCK_S_MAX" "$lock" || die "expected no other backup or restore at work, found one"
}

# ---------------------------------------------------------------- copies and changes

# copying PLACE KB COMMAND...: make a copy of that size, unless the disk, which may be that of Postgres, is nearly full.
copying() {
    local place=$1 kb=$2
    shift 2
    while has_room "$place" "$kb"; do
        [[ ${copier:-} ]] || { "$@" & copier=$!; kb=0; }
        kill -0 "$copier" 2> /dev/null || { wait "$copier"; copier=; return; }
        sleep 0.2
    done
    die "expected room for a copy in $place, and $RESERVE_PCT % of the disk besides, found $(df -h --output=avail "$place" |
        tail -n 1 | tr -d ' '): free some, or let backups go to another disk"
}

has_room() {
    local free all
    read -r free all < <(df -k --output=avail,size "$1" | tail -n 1)
    ((free - $2 >= all * RESERVE_PCT / 100))
}

size_kb() { if [[ $1 ]]; then du -sk "$1" | cut -f 1; else echo 0; fi; }

now() {
    local history work first oldest
    only_one
    history=$(newest_history)
    [[ $history ]] || die "expected changes to be received (\`backup run\`), found no history yet"
    work=$history/copies/.new
    rm -rf "$work"
    unfinished=$work
    copying "$BACKUPS" "$(size_kb "$(copies | tail -n 1)")" \
        pg_basebackup --pgdata="$work" --checkpoint=fast --wal-method=stream --manifest-checksums=SHA256 \
        --no-password --label=backup
    pg_verifybackup --quiet "$work"
    sleep 1  # whatever happened in the second of its name is after it
    mv "$work" "$history/copies/$(moment)"
    unfinished=
    say "copied: $(newest_copy)"
    copies | head -n "-$KEEP" | while read -r old; do rm -rf "${old:?}"; done
    for history in $(histories); do
        oldest=$(find "$history/copies" -mindepth 1 -maxdepth 1 -name "$MOMENT" | sort | head -n 1)
        if [[ $oldest ]]; then
            first=$(sed -n 's/^START WAL LOCATION: .*(file \(.*\))$/\1/p' "$oldest/backup_label")
            pg_archivecleanup "$history/changes" "$first"
        elif [[ $history != "$(newest_history)" ]]; then
            rm -rf "$history"
        fi
    done
    flock --unlock "$lock"
}

# A server that knows nothing of us, or had to let go of changes that we had not received, begins a history; so does
# another place for backups.
receive() {
    local kind held history
    IFS='|' read -r kind held _ < <(
        psql "dbname=postgres replication=1" --no-password --no-psqlrc --tuples-only --no-align \
            --command="READ_REPLICATION_SLOT $SLOT"
    ) || die "expected the server to answer, found that it does not"
    if [[ ! $held || ! $(newest_history) ]]; then
        [[ ! $kind ]] || pg_receivewal --slot="$SLOT" --drop-slot --no-password
        history=$BACKUPS/$(moment)
        mkdir -p "$history/copies" "$history/changes"
        pg_receivewal --slot="$SLOT" --create-slot --no-password
        say "a new history begins: $history"
    fi
    touch "$BACKUPS/.receiving"
    exec pg_receivewal --slot="$SLOT" --directory="$(newest_history)/changes" --no-loop --no-password
}

copy_is_due() {
    local copy
    [[ $(newest_history) ]] || return 1
    copy=$(newest_copy)
    [[ ! $copy ]] || (($(age_s "$(basename "$copy")") >= EVERY_S))
}

verification_is_due() { [[ ! $(verified) ]] || (($(age_s "$(verified)") >= VERIFY_EVERY_S)); }

patiently() { bash "$self" round || sleep "$RETRY_S"; }

round() {
    if copy_is_due; then now; fi
    if verification_is_due; then verify; fi
}

tell_status() {  # tell_status RECEIVING
    printf '{"at": "%s", "receiving": %s, "history": "%s", "oldest": "%s", "newest": "%s", "verified": "%s"}\n' \
        "$(moment)" "$1" "$(basename "$(newest_history)")" \
        "$(basename "$(copies | head -n 1)")" "$(basename "$(newest_copy)")" "$(verified)" > "$BACKUPS/.status"
    chmod 0644 "$BACKUPS/.status"
    mv "$BACKUPS/.status" "$BACKUPS/status"
}

run() {
    local receiver="" rounds="" receiving
    trap 'kill $receiver ${rounds:+-- -$rounds} 2> /dev/null || true; wait; exit 0' TERM INT
    chmod 0755 "$BACKUPS"  # the status is for everybody; copies and changes are closed
    while true; do
        receiving=true
        [[ -e $BACKUPS/.receiving ]] || receiving=false
        if [[ ! $receiver ]] || ! kill -0 "$receiver" 2> /dev/null; then
            receiving=false
            rm -f "$BACKUPS/.receiving"
            bash "$self" receive & receiver=$!
        fi
        if [[ $receiving == true ]] && { [[ ! $rounds ]] || ! kill -0 "$rounds" 2> /dev/null; }; then
            setsid bash "$self" patiently & rounds=$!  # a group of its own, so that all of it can be ended
        fi
        bash "$self" tell_status "$receiving"  # a signal that comes while this shell parses would be lost
        sleep "$LOOK_S" & wait $! || true
    done
}

healthy() {
    grep -q '"receiving": true' "$BACKUPS/status" && (($(date +%s) - $(stat -c %Y "$BACKUPS/status") < STALE_S))
}

list() {
    local copy history
    for copy in $(copies); do
        history=${copy%/copies/*}
        printf '%s\tchanges until %s\n' "$(basename "$copy")" \
            "$(find "$history/changes" -type f -printf '%TY-%Tm-%Td %TH:%TM:%.2TS\n' | sort | tail -n 1)"
    done
    say "last verified: $(verified)"
}

# ---------------------------------------------------------------- back to a moment

# fetch NAME PLACE: Postgres asks for a file of changes.
fetch() {
    local found
    for found in "$HISTORY/changes/$1" "${LEFT:-none}/$1" "$HISTORY/changes/$1.partial"; do
        if [[ -e $found ]]; then cp "$found" "$2"; return; fi
    done
    if [[ $1 == *.history ]]; then cp "$(find "$BACKUPS" -path "*/changes/$1" -print -quit)" "$2"; else return 1; fi
}

# recover COPY DIRECTORY TIME: bring a copy to a moment; its server runs afterwards, on a socket of its own.
recover() {
    local copy=$1 work=$2 at=$3
    socket=$(mktemp -d)
    rm -rf "$work"
    serving=$work
    copying "$(dirname "$work")" "$(size_kb "$copy")" cp -a "$copy" "$work"
    touch "$work/recovery.signal"
    echo 'local all all trust' > "$socket/hba"
    cat > "$socket/settings" << SETTINGS
data_directory = '$work'
hba_file = '$socket/hba'
listen_addresses = ''
unix_socket_directories = '$socket'
shared_buffers = 32MB
hot_standby = off
restore_command = 'bash "$self" fetch "%f" "%p"'
recovery_target_timeline = current
recovery_target_action = promote
log_timezone = UTC
timezone = UTC
${at:+recovery_target_time = '$at+00'}
SETTINGS
    export HISTORY=${copy%/copies/*} BACKUPS
    say "restoring $(basename "$copy") to ${at:-the last change}"
    pg_ctl start --wait --silent --pgdata="$work" --log="$socket/log" --options="-c config_file=$socket/settings" \
        {lock}>&- || true
    until ask 'SELECT' > /dev/null 2>&1; do
        if ((SECONDS >= RECOVERY_S_MAX)) || ! pg_ctl status --pgdata="$work" > /dev/null; then
            grep -E 'FATAL|LOG:  (recovery|last)' "$socket/log" >&2 || cat "$socket/log" >&2
            die "expected changes up to ${at:-the end}, found that they cannot be restored; nothing was replaced"
        fi
        sleep 0.2
    done
    say "restored: the last change is of $(ask 'SELECT pg_last_xact_replay_timestamp()')"
}

ask() { psql --host="$socket" --username=postgres --dbname="${PGDATABASE:-trader}" --no-psqlrc -Atc "$1"; }

finish() { pg_ctl stop --wait --silent --mode=fast --pgdata="$serving"; rm -rf "$socket"; serving=; }

verify() {
    local copy
    only_one
    copy=$(newest_copy)
    [[ $copy ]] || die "expected a copy, found none"
    pg_verifybackup --quiet "$copy"
    recover "$copy" "$BACKUPS/.verify" ""
    pg_dump --host="$socket" --username=postgres --dbname="${PGDATABASE:-trader}" --file=/dev/null
    finish
    rm -rf "$BACKUPS/.verify"
    moment > "$BACKUPS/verified"
    say "verified: $(basename "$copy") and what came after it"
    flock --unlock "$lock"
}

# Keep what the stopped server wrote and nobody received; of another server, or where its history has ended, nothing.
salvage() {
    local history=${1%/copies/*}
    export LEFT=$history/left
    [[ $history == "$(newest_history)" ]] || return 0
    rm -rf "$LEFT"  # of a restore that was killed: older than what was received since
    [[ -e $PGDATA/global/pg_control && $(identity "$PGDATA") == "$(identity "$1")" ]] || return 0
    unfinished=$LEFT
    mkdir "$LEFT"
    find "$PGDATA/pg_wal" -maxdepth 1 -type f -name '????????????????????????' -exec cp -t "$LEFT" {} +
}

identity() { pg_controldata --pgdata="$1" | grep -E "system identifier|Latest checkpoint's TimeLineID"; }

is_before() { [[ ! $1 ]] || (($(in_seconds "$(basename "$2")") <= $(date -d "$1" +%s))); }

restore() {
    local at="" history="" copy="" each
    if [[ ${1:-} == --at ]]; then
        at=$(date -d "${2:-}" '+%Y-%m-%d %H:%M:%S.%6N') || die "--at: expected a time in UTC, found ${2:-none}"
    fi
    ! pg_isready --quiet --timeout=3 || die "expected the database to be stopped, found that it answers"
    only_one
    for each in $(histories); do if is_before "$at" "$each"; then history=$each; fi; done
    for each in $(copies "$history"); do if is_before "$at" "$each"; then copy=$each; fi; done
    [[ $copy ]] || die "expected a copy from before ${at:-now}${history:+ of the history ${history##*/}}, found none;" \
        "\`backup list\` shows them: \`--at\` with a moment of another history restores that one"
    salvage "$copy"
    recover "$copy" "$PGDATA.restoring" "$at"
    finish
    sync -f "$PGDATA.restoring"
    if [[ -e $PGDATA ]]; then
        each=$PGDATA.replaced-$(moment)
        mv "$PGDATA" "$each"
        say "the database as it was is in $each: remove it when you are sure"
    fi
    mv "$PGDATA.restoring" "$PGDATA"
    mkdir -p "$BACKUPS/$(moment)"/{copies,changes}  # what was restored from is over
    unfinished=
    flock --unlock "$lock"
}

leave() {
    [[ ! ${copier:-} ]] || { kill "$copier"; wait "$copier"; } 2> /dev/null || true
    [[ ! ${serving:-} ]] || pg_ctl stop --silent --mode=immediate --pgdata="$serving" 2> /dev/null || true
    rm -rf ${serving:+"$serving" "$socket"} ${unfinished:+"$unfinished"}
    rm -f "${login:-}"
}

trap leave EXIT
case ${1:-} in
    run | now | receive | patiently | round) log_in; "$@" ;;
    tell_status | list | verify | restore | healthy | fetch) "$@" ;;
    *) sed -n 's/^#   \(backup .*\)/\1/p' "$self" >&2; exit 2 ;;
esac
