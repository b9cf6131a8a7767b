\set n :n + 1
\set t :epoch + :n
\set x random(1000000000000000000, 9223372036854775807)
\set y random(1000000000000000000, 9223372036854775807)
\set u random(8000000000000000, 8999999999999999)
\set v random(8000000000000000, 8999999999999999)
\set w random(8000000000000000, 8999999999999999)
WITH old AS (UPDATE bare.gpt_refresh_tokens SET revoked_at = now(), rotated_to = (:t::text || '-7008-' || :u::text)::uuid WHERE token_hash = :a::text || '.' || :b::text || '.' || lpad(:run::text || '.' || :client_id::text, 24, '0') AND revoked_at IS NULL AND expires_at > now() RETURNING id, clerk_user_id), new AS (INSERT INTO bare.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at) SELECT (:t::text || '-7008-' || :u::text)::uuid, :x::text || '.' || :y::text || '.' || lpad(:run::text || '.' || :client_id::text, 24, '0'), clerk_user_id, now() + interval '30 days' FROM old), session AS (UPDATE bare.gpt_sessions AS s SET refresh_token_id = (:t::text || '-7008-' || :u::text)::uuid, last_active = now() FROM old WHERE s.refresh_token_id = old.id), event AS (INSERT INTO bare.gpt_oauth_events (id, event_type, clerk_user_id) SELECT (:t::text || '-7009-' || :w::text)::uuid, 'token_refresh', clerk_user_id FROM old) SELECT clerk_user_id FROM old;
\set a :x
\set b :y
