-- Locks sessions that ended long enough ago, in the order of the index on ended_at. A session whose code is still kept
-- waits for it: a replay of the code names the session. No code comes to refer to a session later than with its birth.
SELECT s.id, s.ended_at AS at, s.id AS session_id
  FROM public.gpt_sessions AS s
 WHERE s.ended_at < statement_timestamp() - ?retention_us * interval '1 us'
   AND (s.ended_at, s.id) > (?after_at, ?after_id)
   AND NOT EXISTS (SELECT FROM public.gpt_authorization_codes AS c WHERE c.session_id = s.id)
 ORDER BY s.ended_at, s.id
 LIMIT ?limit
   FOR UPDATE SKIP LOCKED
