-- Deletes events that are old enough, in the order of the index on created_at.
WITH doomed AS MATERIALIZED (
    SELECT e.id, e.created_at
      FROM public.gpt_oauth_events AS e
     WHERE e.created_at < statement_timestamp() - ?retention_us * interval '1 us'
       AND (e.created_at, e.id) > (?after_at, ?after_id)
     ORDER BY e.created_at, e.id
     LIMIT ?limit
       FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM public.gpt_oauth_events AS e
     WHERE e.id = ANY (ARRAY(SELECT doomed.id FROM doomed))
    RETURNING e.id
), last AS (
    SELECT doomed.created_at, doomed.id FROM doomed ORDER BY doomed.created_at DESC, doomed.id DESC LIMIT 1
)
SELECT (SELECT count(*) FROM deleted) AS events,
       (SELECT count(*) FROM doomed) AS seen,
       (SELECT last.created_at FROM last) AS last_at,
       (SELECT last.id FROM last) AS last_id
