-- Deletes codes that expired long enough ago, in the order of the index on expires_at. Used ones too: until then their
-- replay is detected. Nothing refers to a code, and a code that someone is exchanging is skipped.
WITH doomed AS MATERIALIZED (
    SELECT c.id, c.expires_at
      FROM public.gpt_authorization_codes AS c
     WHERE c.expires_at < statement_timestamp() - ?retention_us * interval '1 us'
       AND (c.expires_at, c.id) > (?after_at, ?after_id)
     ORDER BY c.expires_at, c.id
     LIMIT ?limit
       FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM public.gpt_authorization_codes AS c
     WHERE c.id = ANY (ARRAY(SELECT doomed.id FROM doomed))
    RETURNING c.id
), last AS (
    SELECT doomed.expires_at, doomed.id FROM doomed ORDER BY doomed.expires_at DESC, doomed.id DESC LIMIT 1
)
SELECT (SELECT count(*) FROM deleted) AS codes,
       (SELECT count(*) FROM doomed) AS seen,
       (SELECT last.expires_at FROM last) AS last_at,
       (SELECT last.id FROM last) AS last_id
