-- Locks dead sessions that are older than gptoauth and that no index finds: their token was revoked or they have none. It
-- walks over all sessions, a stretch of the primary key at a time, and says where the stretch ends.
WITH stretch AS MATERIALIZED (
    SELECT s.id FROM public.gpt_sessions AS s WHERE s.id > ?after_id ORDER BY s.id LIMIT ?limit
), doomed AS MATERIALIZED (
    SELECT s.id
      FROM public.gpt_sessions AS s
      LEFT JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
     WHERE s.id = ANY (ARRAY(SELECT stretch.id FROM stretch))
       AND s.client_id IS NULL
       AND s.ended_at IS NULL
       AND coalesce(t.expires_at, s.last_active) < statement_timestamp() - ?retention_us * interval '1 us'
       FOR UPDATE OF s SKIP LOCKED
)
SELECT stretch.id, statement_timestamp() AS at, CASE WHEN stretch.id IN (SELECT doomed.id FROM doomed) THEN stretch.id END AS session_id
  FROM stretch
 ORDER BY stretch.id
