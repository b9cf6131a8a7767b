-- Deletes dead sessions that the transaction has locked, with all their tokens. One statement, because sessions and tokens
-- refer to each other and foreign keys are checked at its end. No one else writes a family while its session is locked.
WITH deleted_tokens AS (
    DELETE FROM public.gpt_refresh_tokens AS t
     WHERE t.session_id = ANY (?ids::pg_catalog.uuid[])
    RETURNING t.id
), deleted_sessions AS (
    DELETE FROM public.gpt_sessions AS s
     WHERE s.id = ANY (?ids::pg_catalog.uuid[])
    RETURNING s.id
)
SELECT (SELECT count(*) FROM deleted_sessions) AS sessions, (SELECT count(*) FROM deleted_tokens) AS tokens
