-- Rows as a server would have left them: people of two sessions, one of many, sessions of four generations, one in a hundred
-- ended, each session from a code, one event a token. ?0 is the number of sessions.

CREATE TEMPORARY TABLE bulk_sessions AS
SELECT k, r.at, (k % 100 = 7) AS ended,
       -- One in ten sessions is of the same person.
       CASE WHEN k % 10 = 2 THEN 'user_heavy' ELSE 'user_' || md5((k / 2)::text) END AS clerk_user_id,
       ('019' || lpad(to_hex(k), 9, '0') || '7' || substr(md5('s' || k), 1, 3) || '8' || substr(md5('s' || k), 4, 15))::uuid AS id
  FROM generate_series(0, ?0 - 1) AS k,
       LATERAL (SELECT now() - interval '20 days' * (1 - k / ?0::float8) AS at) AS r;

CREATE TEMPORARY TABLE bulk_tokens AS
SELECT s.k, g, s.clerk_user_id, s.id AS session_id, s.ended, s.at + g * interval '1 minute' AS at,
       ('019' || lpad(to_hex(s.k * 4 + g), 9, '0') || '7' || substr(md5('t' || s.k || '.' || g), 1, 3) || '8' || substr(md5('t' || s.k || '.' || g), 4, 15))::uuid AS id,
       ('019' || lpad(to_hex(s.k * 4 + g + 1), 9, '0') || '7' || substr(md5('t' || s.k || '.' || g + 1), 1, 3) || '8' || substr(md5('t' || s.k || '.' || g + 1), 4, 15))::uuid AS next
  FROM bulk_sessions AS s, generate_series(0, 3) AS g;

INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, rotated_to, created_at)
SELECT id, encode(sha256(('t' || k || '.' || g)::bytea), 'hex'), clerk_user_id, session_id, at + interval '30 days',
       CASE WHEN g < 3 OR ended THEN at + interval '1 minute' END, CASE WHEN g < 3 THEN next END, at
  FROM bulk_tokens
 ORDER BY k, g;

INSERT INTO public.gpt_sessions (id, clerk_user_id, client_id, scope, refresh_token_id, last_active, created_at, expires_at, ended_at,
                                 end_reason, ip_address, user_agent)
SELECT s.id, s.clerk_user_id, 'client_' || s.k % 5, 'openid profile', t.id, s.at, s.at, s.at + interval '365 days',
       CASE WHEN s.ended THEN s.at + interval '1 day' END, CASE WHEN s.ended THEN 'sign_out' END, '203.0.113.7', 'Mozilla/5.0 (X11; Linux x86_64)'
  FROM bulk_sessions AS s
  JOIN bulk_tokens AS t ON t.k = s.k AND t.g = 3
 ORDER BY s.k;

INSERT INTO public.gpt_authorization_codes (id, code, code_challenge, clerk_user_id, client_id, redirect_uri, scope, expires_at, used_at,
                                            session_id, created_at)
SELECT gen_random_uuid(), encode(sha256(('c' || k)::bytea), 'hex'), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', clerk_user_id,
       'client_' || k % 5, 'https://chatgpt.com/aip/g-1/oauth/callback', 'openid profile', at + interval '10 minutes', at, id, at
  FROM bulk_sessions
 ORDER BY k;

INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, ip_address, created_at)
SELECT ('019' || lpad(to_hex(k * 4 + g), 9, '0') || '7' || substr(md5('e' || k || '.' || g), 1, 3) || '8' || substr(md5('e' || k || '.' || g), 4, 15))::uuid,
       (ARRAY['token_exchange', 'token_refresh', 'token_refresh', 'token_refresh'])[g + 1], clerk_user_id, 'client_' || k % 5, session_id,
       '203.0.113.7', at
  FROM bulk_tokens
 ORDER BY k, g;

DROP TABLE bulk_sessions, bulk_tokens;
