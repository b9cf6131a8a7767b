-- Deletes tokens of one dead session that the transaction has locked, oldest first, but not the current one: the family is
-- too long to be deleted at once. Ids are made by many clocks, so a predecessor may come after its successor; it is unlinked
-- and deleted later.
WITH old AS MATERIALIZED (
    SELECT t.id
      FROM public.gpt_sessions AS s
     CROSS JOIN LATERAL (
          SELECT t.id
            FROM public.gpt_refresh_tokens AS t
           WHERE t.session_id = s.id AND t.id IS DISTINCT FROM s.refresh_token_id
           ORDER BY t.id
           LIMIT ?limit
     ) AS t
     WHERE s.id = ANY (?ids::pg_catalog.uuid[])
), unlinked AS (
    UPDATE public.gpt_refresh_tokens AS t
       SET rotated_to = NULL
     WHERE t.rotated_to = ANY (ARRAY(SELECT old.id FROM old)) AND t.id NOT IN (SELECT old.id FROM old)
), deleted AS (
    DELETE FROM public.gpt_refresh_tokens AS t
     WHERE t.id = ANY (ARRAY(SELECT old.id FROM old))
    RETURNING t.id
)
SELECT 0 AS sessions, (SELECT count(*) FROM deleted) AS tokens
