-- Counts what foreign keys and the functions make impossible. Someone may still have loaded rows with triggers off, dropped
-- a constraint, or written the tables by hand.
SELECT finding.name, finding.rows
  FROM (
    SELECT 'tokens of a session that does not exist' AS name, count(*) AS rows
      FROM public.gpt_refresh_tokens AS t
     WHERE t.session_id IS NOT NULL AND NOT EXISTS (SELECT FROM public.gpt_sessions AS s WHERE s.id = t.session_id)
    UNION ALL
    SELECT 'tokens rotated to one that does not exist', count(*)
      FROM public.gpt_refresh_tokens AS t
     WHERE t.rotated_to IS NOT NULL AND NOT EXISTS (SELECT FROM public.gpt_refresh_tokens AS r WHERE r.id = t.rotated_to)
    UNION ALL
    SELECT 'tokens rotated to one of another session', count(*)
      FROM public.gpt_refresh_tokens AS t
      JOIN public.gpt_refresh_tokens AS r ON r.id = t.rotated_to
     WHERE r.session_id IS DISTINCT FROM t.session_id
    UNION ALL
    SELECT 'sessions whose current token does not exist', count(*)
      FROM public.gpt_sessions AS s
     WHERE (s.refresh_token_id IS NOT NULL OR s.client_id IS NOT NULL)
       AND NOT EXISTS (SELECT FROM public.gpt_refresh_tokens AS t WHERE t.id = s.refresh_token_id)
    UNION ALL
    SELECT 'sessions whose current token is of another session', count(*)
      FROM public.gpt_sessions AS s
      JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
     WHERE s.client_id IS NOT NULL AND t.session_id IS DISTINCT FROM s.id
    UNION ALL
    SELECT 'living sessions whose current token was rotated or revoked', count(*)
      FROM public.gpt_sessions AS s
      JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
     WHERE s.client_id IS NOT NULL AND s.ended_at IS NULL AND (t.rotated_to IS NOT NULL OR t.revoked_at IS NOT NULL)
    UNION ALL
    SELECT 'codes of a session that does not exist', count(*)
      FROM public.gpt_authorization_codes AS c
     WHERE c.session_id IS NOT NULL AND NOT EXISTS (SELECT FROM public.gpt_sessions AS s WHERE s.id = c.session_id)
    UNION ALL
    -- With these four in place, and valid, the database itself refuses the first of each pair above.
    SELECT 'foreign keys missing or not valid', 4 - count(*)
      FROM pg_catalog.pg_constraint AS k
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
     WHERE k.contype = 'f'
       AND k.convalidated
       AND (k.conrelid, a.attname) IN (('public.gpt_refresh_tokens'::pg_catalog.regclass, 'rotated_to'),
                                       ('public.gpt_refresh_tokens'::pg_catalog.regclass, 'session_id'),
                                       ('public.gpt_sessions'::pg_catalog.regclass, 'refresh_token_id'),
                                       ('public.gpt_authorization_codes'::pg_catalog.regclass, 'session_id'))
  ) AS finding
 WHERE finding.rows > 0
