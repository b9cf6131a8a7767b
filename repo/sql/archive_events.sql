-- purge_events, but it gives back what it deletes, oldest first, as the lines of the archive: JSON, times in UTC.
WITH doomed AS MATERIALIZED (
    SELECT e.id
      FROM public.gpt_oauth_events AS e
     WHERE e.created_at < statement_timestamp() - ?retention_us * interval '1 us'
       AND (e.created_at, e.id) > (?after_at, ?after_id)
     ORDER BY e.created_at, e.id
     LIMIT ?limit
       FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM public.gpt_oauth_events AS e
     WHERE e.id = ANY (ARRAY(SELECT doomed.id FROM doomed))
    RETURNING e.id, e.event_type, e.clerk_user_id, e.client_id, e.session_id, e.metadata, e.ip_address, e.created_at
)
SELECT deleted.created_at AS at,
       deleted.id,
       json_build_object(
           'id', deleted.id,
           'event_type', deleted.event_type,
           'clerk_user_id', deleted.clerk_user_id,
           'client_id', deleted.client_id,
           'session_id', deleted.session_id,
           'metadata', deleted.metadata,
           'ip_address', deleted.ip_address,
           'created_at', to_char(deleted.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
       )::pg_catalog.text AS line
  FROM deleted
 ORDER BY deleted.created_at, deleted.id
