-- Locks sessions that were never ended, but whose current token expired long enough ago, in the order of the index on the
-- expiry of unrevoked tokens. (A token never outlives the absolute end of its session.) If the token is being rotated, the
-- session is skipped; if it has just been, the row is looked at again under its lock and its current token is another one.
-- A session whose code is still kept waits for it, as in lock_ended.
SELECT t.id, t.expires_at AS at, s.id AS session_id
  FROM public.gpt_refresh_tokens AS t
  JOIN public.gpt_sessions AS s ON s.refresh_token_id = t.id
 WHERE t.revoked_at IS NULL
   AND t.expires_at < statement_timestamp() - ?retention_us * interval '1 us'
   AND (t.expires_at, t.id) > (?after_at, ?after_id)
   AND s.ended_at IS NULL
   AND NOT EXISTS (SELECT FROM public.gpt_authorization_codes AS c WHERE c.session_id = s.id)
 ORDER BY t.expires_at, t.id
 LIMIT ?limit
   FOR UPDATE OF s SKIP LOCKED
