-- A month of a small provider, and one before it: days and nights, weekends, growth, five clients and two rare ones, an evening on which
-- answers got lost, a stolen backup, a probe. ?0 is the number of sign-ins.

SELECT setseed(0.42);

CREATE TEMPORARY TABLE month_sessions AS
SELECT s.k, s.id, s.at, s.client, 'user_' || md5((s.k / 2)::text) AS person,
       s.at + interval '1 day' * (-8 * ln(1 - random() * 0.999)) AS until,
       CASE WHEN r.reason < 0.22 THEN 'sign_out' WHEN r.reason < 0.27 THEN 'token_revoke' WHEN r.reason < 0.30 THEN 'password_changed'
            WHEN r.reason < 0.312 THEN 'offboarding' WHEN r.reason < 0.315 THEN 'token_reuse' WHEN r.reason < 0.316 THEN 'code_replay' END AS reason
  FROM (SELECT k, gen_random_uuid() AS id, now() - interval '60 days' * random() AS at, random() AS p,
               (ARRAY['https://chatgpt.com/connector/oauth', 'https://claude.ai/oauth/mcp-client-metadata', 'cursor', 'vscode-mcp', 'internal-crm', 'n8n', 'zapier'])
               [CASE WHEN k % 100 < 44 THEN 1 WHEN k % 100 < 69 THEN 2 WHEN k % 100 < 81 THEN 3 WHEN k % 100 < 90 THEN 4
                     WHEN k % 100 < 96 THEN 5 WHEN k % 100 < 99 THEN 6 ELSE 7 END] AS client
          FROM generate_series(1, ?0 * 3) AS k) AS s,
       LATERAL (SELECT random() + 0 * s.k AS reason) AS r
 WHERE s.p < (0.15 + 0.85 * pow(sin(pi() * (extract(hour FROM s.at) + 2) / 24), 2))
             * CASE WHEN extract(isodow FROM s.at) > 5 THEN 0.45 ELSE 1 END
             * (1 - 0.006 * extract(day FROM now() - s.at));

-- What ends at all ends within its life, and what lives on is refreshed until now or until its person lost interest.
CREATE TEMPORARY TABLE month_refreshes AS
SELECT s.k, s.id, s.client, s.person, t.at
  FROM month_sessions AS s,
       LATERAL generate_series(s.at + interval '1 hour' * (2 + random() * 9), least(s.until, now()), interval '9 hours') AS t (at)
 WHERE extract(hour FROM t.at) > 5 OR s.k % 3 = 0;

-- Both in one statement, for each refers to the other. What ended a month ago has been purged.
WITH kept AS MATERIALIZED (
    SELECT s.k, s.id, s.client, s.person, s.at, last.at AS last_at, gen_random_uuid() AS token_id, s.reason,
           CASE WHEN s.reason IS NOT NULL AND s.until < now() THEN s.until END AS ended_at
      FROM month_sessions AS s
      JOIN (SELECT s.k, coalesce(max(r.at), s.at) AS at
              FROM month_sessions AS s LEFT JOIN month_refreshes AS r ON r.k = s.k
             GROUP BY s.k, s.at) AS last ON last.k = s.k
     WHERE s.reason IS NULL OR s.until > now() - interval '30 days'
), tokens AS (
    INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, created_at)
    SELECT token_id, encode(sha256(('m' || k)::bytea), 'hex'), person, id, last_at + interval '30 days', ended_at, last_at FROM kept
)
INSERT INTO public.gpt_sessions (id, clerk_user_id, client_id, refresh_token_id, last_active, created_at, expires_at, ended_at, end_reason)
SELECT id, person, client, token_id, last_at, at, at + interval '365 days', ended_at, CASE WHEN ended_at IS NOT NULL THEN reason END FROM kept;

INSERT INTO public.gpt_authorization_codes (code, code_challenge, clerk_user_id, client_id, redirect_uri, expires_at, used_at, session_id, created_at)
SELECT encode(sha256(('mc' || k)::bytea), 'hex'), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', person, client,
       'https://client.example/callback', at + interval '10 minutes', at, id, at
  FROM month_sessions
 WHERE at > now() - interval '23 hours';

INSERT INTO public.gpt_oauth_events (event_type, clerk_user_id, client_id, session_id, created_at)
SELECT 'authorize', person, client, NULL::uuid, at - interval '8 seconds' FROM month_sessions
UNION ALL
SELECT 'authorize', 'user_' || md5('gone' || k), client, NULL, at - interval '1 hour' FROM month_sessions WHERE k % 13 = 0
UNION ALL
SELECT 'token_exchange', person, client, id, at FROM month_sessions
UNION ALL
SELECT 'token_refresh', person, client, id, at FROM month_refreshes
UNION ALL
SELECT 'token_retry', person, client, id, at + interval '1 second' FROM month_refreshes
 WHERE random() < CASE WHEN at BETWEEN now() - interval '9 days 6 hours' AND now() - interval '9 days' THEN 0.6 ELSE 0.012 END
UNION ALL
SELECT 'code_mismatch', person, client, id, at FROM month_sessions WHERE k % 61 = 0
UNION ALL
SELECT 'token_mismatch', NULL, 'vscode-mcp', NULL, now() - interval '3 days' + k * interval '40 seconds' FROM generate_series(1, 90) AS k
UNION ALL
SELECT 'token_revoke', clerk_user_id, client_id, id, ended_at FROM public.gpt_sessions WHERE end_reason = 'token_revoke'
UNION ALL
SELECT 'job_search', person, client, id, at + interval '1 minute' FROM month_refreshes WHERE k % 2 = 0;

INSERT INTO public.gpt_oauth_events (event_type, clerk_user_id, client_id, session_id, metadata, created_at)
SELECT CASE end_reason WHEN 'token_reuse' THEN 'token_reuse' ELSE 'code_replay' END, clerk_user_id, client_id, id,
       CASE end_reason WHEN 'token_reuse' THEN jsonb_build_object('rotated_at', ended_at - CASE WHEN id::text < '3' THEN interval '3 minutes' ELSE interval '2 days' END) ELSE '{}' END,
       ended_at
  FROM public.gpt_sessions
 WHERE end_reason IN ('token_reuse', 'code_replay');

DROP TABLE month_sessions, month_refreshes;
ANALYZE
