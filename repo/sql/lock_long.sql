-- Locks living sessions that keep tokens which were rotated away long enough ago. It walks over all sessions, a stretch of the
-- primary key at a time, and says where the stretch ends. A few of the oldest ids show it: the first may be out of order,
-- because ids are made by many clocks. A session that is being rotated is skipped.
WITH stretch AS MATERIALIZED (
    SELECT s.id FROM public.gpt_sessions AS s WHERE s.id > ?after_id ORDER BY s.id LIMIT ?limit
), long AS MATERIALIZED (
    SELECT s.id
      FROM public.gpt_sessions AS s
     WHERE s.id = ANY (ARRAY(SELECT stretch.id FROM stretch))
       AND s.ended_at IS NULL
       AND EXISTS (SELECT
                     FROM (SELECT t.revoked_at, t.rotated_to
                             FROM public.gpt_refresh_tokens AS t
                            WHERE t.session_id = s.id
                            ORDER BY t.id
                            LIMIT 8) AS oldest
                    WHERE oldest.revoked_at < statement_timestamp() - ?retention_us * interval '1 us'
                      AND oldest.rotated_to IS DISTINCT FROM s.refresh_token_id)
       FOR UPDATE OF s SKIP LOCKED
)
SELECT stretch.id, statement_timestamp() AS at, CASE WHEN stretch.id IN (SELECT long.id FROM long) THEN stretch.id END AS session_id
  FROM stretch
 ORDER BY stretch.id
