#!/usr/bin/env bash
# What a layout costs: makes a database, changes it with the SQL given, lets pgbench rotate, exchange and end 2,000 times, and prints
# the WAL bytes a call. One client, no autovacuum, so that the figure is the same each time (within 1%). On a server of your
# own, with PGHOST, PGPORT, PGUSER and PGPASSWORD set, and with full_page_writes off to leave out what depends on checkpoints:
#
#   bash cmd/gptoauth/internal/bench/layouts.sh
#   bash cmd/gptoauth/internal/bench/layouts.sh 'DROP INDEX public.idx_gpt_refresh_tokens_active'
set -euo pipefail
cd "$(dirname "$0")"

calls=2000
database=gptoauth_layout_$$
export PGDATABASE=postgres
trap 'psql -qc "DROP DATABASE IF EXISTS $database"' EXIT

for operation in rotate exchange end; do
	clients=1 codes=$calls
	if [ $operation = end ]; then # each call ends another session
		clients=$calls codes=0
	fi
	PGDATABASE=postgres psql -qc "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database" 2>/dev/null
	export PGDATABASE=$database
	go run ../.. migrate up --database-url "postgres:///$database?sslmode=${PGSSLMODE:-disable}" >/dev/null 2>&1
	psql -qf sql/bare.sql
	for statement in "$@"; do
		psql -qc "$statement"
	done
	sed "s/?0/1/g; s/?1/$clients/g; s/?2/$codes/g" sql/seed.sql | psql -q
	psql -qc 'VACUUM ANALYZE' -c CHECKPOINT
	before=$(psql -Atc 'SELECT pg_current_wal_insert_lsn()')
	pgbench -n -M simple -c 1 -t $calls -D run=1 -D n=0 -D a=0 -D b=0 -D epoch=190000000000 -f sql/$operation.function.sql >/dev/null 2>&1
	psql -At -c "SELECT '$operation ' || (pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$before') / $calls)::int || ' bytes of WAL'"
	export PGDATABASE=postgres
done
