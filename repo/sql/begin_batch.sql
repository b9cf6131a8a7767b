-- Begins a batch of the janitor. One janitor works at a time, whatever the number of replicas: the lock belongs to the
-- transaction, so that it works behind a transaction pooler and ends with whoever is killed.
--
-- A batch rather fails than makes anyone wait, and it need not be on disk when it is answered: what a crash brings back is
-- purged again. Every statement has an index to go by and stops at its limit; the planner must not read and sort all there is
-- because a table was small when it was last analyzed.
--
-- How many others are at work is how long to pause afterwards. (A role sees its own backends at work and those of roles it
-- is a member of; all of them with pg_read_all_stats.)
SELECT pg_try_advisory_xact_lock(?key) AS locked,
       (SELECT count(*)
          FROM pg_catalog.pg_stat_activity AS a
         WHERE a.datname = current_database() AND a.state = 'active' AND a.backend_type = 'client backend'
           AND a.pid <> pg_backend_pid()) AS others,
       concat_ws(', ',
           set_config('lock_timeout', '500ms', true),
           set_config('statement_timeout', '8s', true), -- below the driver's read timeout
           set_config('synchronous_commit', 'off', true),
           set_config('enable_seqscan', 'off', true),
           set_config('enable_bitmapscan', 'off', true),
           set_config('enable_hashjoin', 'off', true),
           set_config('enable_mergejoin', 'off', true),
           set_config('enable_sort', 'off', true),
           set_config('jit', 'off', true)) AS settings
