\set n :n + 1
\set t :epoch + :n
\set x random(1000000000000000000, 9223372036854775807)
\set y random(1000000000000000000, 9223372036854775807)
\set u random(8000000000000000, 8999999999999999)
\set v random(8000000000000000, 8999999999999999)
\set w random(8000000000000000, 8999999999999999)
WITH code AS (UPDATE bare.gpt_authorization_codes SET used_at = now() WHERE code = md5(:run::text || '.' || :client_id::text || '.' || :n::text) || md5(:n::text || '.' || :client_id::text) AND used_at IS NULL AND expires_at > now() RETURNING clerk_user_id), token AS (INSERT INTO bare.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at) SELECT (:t::text || '-7008-' || :u::text)::uuid, :x::text || '.' || :y::text || '.' || lpad(:run::text || '.' || :client_id::text, 24, '0'), clerk_user_id, now() + interval '30 days' FROM code), session AS (INSERT INTO bare.gpt_sessions (id, clerk_user_id, refresh_token_id) SELECT (:t::text || '-7001-' || :v::text)::uuid, clerk_user_id, (:t::text || '-7008-' || :u::text)::uuid FROM code), event AS (INSERT INTO bare.gpt_oauth_events (id, event_type, clerk_user_id) SELECT (:t::text || '-7009-' || :w::text)::uuid, 'token_exchange', clerk_user_id FROM code) SELECT clerk_user_id FROM code;
