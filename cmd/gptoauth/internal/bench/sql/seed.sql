-- What one run of pgbench starts from: ?1 sessions with one token, and ?2 codes, for each of ?1 clients, on both sides. ?0
-- is the run, so that no two have the same. Codes live ten minutes, as those of the library do.
CREATE TEMPORARY TABLE seed AS
SELECT k, gen_random_uuid() AS session_id, gen_random_uuid() AS token_id, '0.0.' || lpad(?0 || '.' || k, 24, '0') AS token_hash,
       'user_' || md5(?0 || '.' || k) AS clerk_user_id
  FROM generate_series(0, ?1 - 1) AS k;

WITH token AS (
    INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at)
    SELECT token_id, token_hash, clerk_user_id, session_id, now() + interval '30 days' FROM seed
)
INSERT INTO public.gpt_sessions (id, clerk_user_id, client_id, scope, refresh_token_id, expires_at)
SELECT session_id, clerk_user_id, 'client_1', 'openid', token_id, now() + interval '365 days' FROM seed;

WITH token AS (
    INSERT INTO bare.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at)
    SELECT token_id, token_hash, clerk_user_id, now() + interval '30 days' FROM seed
)
INSERT INTO bare.gpt_sessions (id, clerk_user_id, refresh_token_id)
SELECT session_id, clerk_user_id, token_id FROM seed;

INSERT INTO public.gpt_authorization_codes (id, code, code_challenge, clerk_user_id, client_id, redirect_uri, scope, expires_at)
SELECT gen_random_uuid(), md5(?0 || '.' || k || '.' || n) || md5(n || '.' || k), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
       'user_' || md5(n || '.' || k || '.' || ?0), 'client_1', 'https://chatgpt.com/aip/g-1/oauth/callback', 'openid', now() + interval '10 minutes'
  FROM seed, generate_series(1, ?2) AS n;

INSERT INTO bare.gpt_authorization_codes (id, code, code_challenge, clerk_user_id, redirect_uri, expires_at)
SELECT gen_random_uuid(), md5(?0 || '.' || k || '.' || n) || md5(n || '.' || k), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
       'user_' || md5(n || '.' || k || '.' || ?0), 'https://chatgpt.com/aip/g-1/oauth/callback', now() + interval '10 minutes'
  FROM seed, generate_series(1, ?2) AS n;

DROP TABLE seed;
