-- Clears the nonces with which no store answers a predecessor again: a grace period is at most ten minutes. It walks over
-- all sessions, a stretch of the primary key at a time. A session that is being rotated is skipped; one that has just been
-- is looked at again under its lock and its current token is another one.
WITH stretch AS MATERIALIZED (
    SELECT s.id FROM public.gpt_sessions AS s WHERE s.id > ?after_id ORDER BY s.id LIMIT ?limit
), over AS MATERIALIZED (
    SELECT s.id
      FROM public.gpt_sessions AS s
      JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
     WHERE s.id = ANY (ARRAY(SELECT stretch.id FROM stretch))
       AND s.successor_nonce IS NOT NULL
       AND t.created_at < statement_timestamp() - ?retention_us * interval '1 us'
       FOR NO KEY UPDATE OF s SKIP LOCKED
), cleared AS (
    UPDATE public.gpt_sessions AS s
       SET successor_nonce = NULL
     WHERE s.id = ANY (ARRAY(SELECT over.id FROM over))
    RETURNING s.id
)
SELECT (SELECT count(*) FROM cleared) AS nonces,
       (SELECT count(*) FROM stretch) AS seen,
       statement_timestamp() AS last_at,
       (SELECT stretch.id FROM stretch ORDER BY stretch.id DESC LIMIT 1) AS last_id
