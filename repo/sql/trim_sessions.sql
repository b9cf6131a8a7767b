-- Deletes tokens of living sessions that the transaction has locked, if they were rotated away long enough ago, oldest
-- first, and not more than the limit. The current token and its direct predecessor stay whatever their age. A token that
-- stays and referred to one that goes is unlinked; it remains what it was, one that was rotated away.
--
-- It is not the statement that locked the sessions, so that it sees which token is the current one by then.
WITH old AS MATERIALIZED (
    SELECT t.id, living.n
      FROM (SELECT given.n, s.id, s.refresh_token_id
              FROM unnest(?ids::pg_catalog.uuid[]) WITH ORDINALITY AS given (id, n)
              JOIN public.gpt_sessions AS s ON s.id = given.id
             ORDER BY given.n) AS living
     CROSS JOIN LATERAL (
          SELECT t.id, t.revoked_at, t.rotated_to
            FROM public.gpt_refresh_tokens AS t
           WHERE t.session_id = living.id
           ORDER BY t.id
           LIMIT ?limit + 8 -- not the whole family; a few may be out of order, as in lock_long
     ) AS t
     WHERE t.id IS DISTINCT FROM living.refresh_token_id
       AND t.rotated_to IS DISTINCT FROM living.refresh_token_id
       AND t.revoked_at < statement_timestamp() - ?retention_us * interval '1 us'
     LIMIT ?limit
), unlinked AS (
    UPDATE public.gpt_refresh_tokens AS t
       SET rotated_to = NULL
     WHERE t.rotated_to = ANY (ARRAY(SELECT old.id FROM old)) AND t.id NOT IN (SELECT old.id FROM old)
), deleted AS (
    DELETE FROM public.gpt_refresh_tokens AS t
     WHERE t.id = ANY (ARRAY(SELECT old.id FROM old))
    RETURNING t.id
)
SELECT (SELECT count(*) FROM deleted) AS tokens,
       -- If the limit was reached, the last session touched may have more, and those after it were not looked at.
       CASE WHEN (SELECT count(*) FROM old) >= ?limit THEN (SELECT max(old.n) FROM old) ELSE 0 END AS first_left
