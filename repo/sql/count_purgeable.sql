-- Counts what a purge would delete or clear now, in one snapshot and without a lock. A negative retention is Off.
WITH clock AS (
    SELECT CASE WHEN ?codes_us >= 0 THEN statement_timestamp() - ?codes_us * interval '1 us' ELSE '-infinity' END AS codes,
           CASE WHEN ?sessions_us >= 0 THEN statement_timestamp() - ?sessions_us * interval '1 us' ELSE '-infinity' END AS sessions,
           CASE WHEN ?rotated_us >= 0 THEN statement_timestamp() - ?rotated_us * interval '1 us' ELSE '-infinity' END AS rotated,
           CASE WHEN ?events_us >= 0 THEN statement_timestamp() - ?events_us * interval '1 us' ELSE '-infinity' END AS events,
           statement_timestamp() - ?nonces_us * interval '1 us' AS nonces
), dead AS MATERIALIZED (
    SELECT s.id
      FROM clock
      JOIN public.gpt_sessions AS s ON true
      LEFT JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
     WHERE (s.ended_at < clock.sessions
            OR (s.ended_at IS NULL AND (t.expires_at < clock.sessions
                                        OR (t.id IS NULL AND s.client_id IS NULL AND s.last_active < clock.sessions))))
       AND NOT EXISTS (SELECT
                         FROM public.gpt_authorization_codes AS c
                        WHERE c.session_id = s.id AND c.expires_at >= clock.codes)
)
SELECT (SELECT count(*) FROM clock JOIN public.gpt_authorization_codes AS c ON c.expires_at < clock.codes) AS codes,
       (SELECT count(*) FROM dead) AS sessions,
       (SELECT count(*) FROM dead JOIN public.gpt_refresh_tokens AS t ON t.session_id = dead.id)
       + (SELECT count(*) FROM clock JOIN public.gpt_refresh_tokens AS t ON t.session_id IS NULL AND t.expires_at < clock.sessions)
       + (SELECT count(*)
            FROM clock
            JOIN public.gpt_refresh_tokens AS t ON t.revoked_at < clock.rotated
            JOIN public.gpt_sessions AS s ON s.id = t.session_id AND s.ended_at IS NULL
           WHERE t.id IS DISTINCT FROM s.refresh_token_id
             AND t.rotated_to IS DISTINCT FROM s.refresh_token_id
             AND NOT EXISTS (SELECT FROM dead WHERE dead.id = s.id)) AS tokens,
       (SELECT count(*)
          FROM clock
          JOIN public.gpt_sessions AS s ON s.successor_nonce IS NOT NULL
          JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id AND t.created_at < clock.nonces
         WHERE NOT EXISTS (SELECT FROM dead WHERE dead.id = s.id)) AS nonces,
       (SELECT count(*) FROM clock JOIN public.gpt_oauth_events AS e ON e.created_at < clock.events) AS events
