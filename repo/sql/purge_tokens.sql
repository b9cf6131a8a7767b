-- Deletes tokens that belong to no session and expired long enough ago: they are older than gptoauth, and no one could
-- rotate them since. By id, which is what the index holds. What a session or a living token refers to waits; dead tokens
-- that refer to what is deleted now are unlinked, and deleted by this batch or a later one.
WITH doomed AS MATERIALIZED (
    SELECT t.id
      FROM public.gpt_refresh_tokens AS t
     WHERE t.session_id IS NULL
       AND t.expires_at < statement_timestamp() - ?retention_us * interval '1 us'
       AND t.id > ?after_id
       AND NOT EXISTS (SELECT FROM public.gpt_sessions AS s WHERE s.refresh_token_id = t.id)
       AND NOT EXISTS (SELECT
                         FROM public.gpt_refresh_tokens AS r
                        WHERE r.rotated_to = t.id
                          AND (r.session_id IS NOT NULL OR r.expires_at >= statement_timestamp() - ?retention_us * interval '1 us'))
     ORDER BY t.id
     LIMIT ?limit
       FOR UPDATE SKIP LOCKED
), unlinked AS (
    UPDATE public.gpt_refresh_tokens AS t
       SET rotated_to = NULL
     WHERE t.rotated_to = ANY (ARRAY(SELECT doomed.id FROM doomed)) AND t.id NOT IN (SELECT doomed.id FROM doomed)
), deleted AS (
    DELETE FROM public.gpt_refresh_tokens AS t
     WHERE t.id = ANY (ARRAY(SELECT doomed.id FROM doomed))
    RETURNING t.id
)
SELECT (SELECT count(*) FROM deleted) AS tokens,
       (SELECT count(*) FROM doomed) AS seen,
       statement_timestamp() AS last_at,
       (SELECT doomed.id FROM doomed ORDER BY doomed.id DESC LIMIT 1) AS last_id
