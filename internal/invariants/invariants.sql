-- What is true of every database that gptoauth has written to, whatever broke meanwhile. Each check selects the rows that
-- contradict it: which row, and what is wrong with it. None of them needs to know what clients were told.
--
-- Allowed for throughout:
--   * rows from before gptoauth (codes and sessions without client_id, tokens without session_id) obey no rule of ours;
--   * purging takes away codes, old generations, whole sessions and old events, and unlinks a predecessor whose successor
--     goes first, so that what is missing proves nothing, except an event that is younger than the oldest one left;
--   * a time that was decided under a row's lock is not earlier than one decided under it before. Only this trusts the
--     server's clock; a clock that was set back shows here and is a finding too.

-- check: a used code has a session, an unused one has none
SELECT c.id, CASE WHEN c.used_at IS NULL THEN 'unused, but it has the session ' || c.session_id ELSE 'used, but it has no session' END
  FROM public.gpt_authorization_codes AS c
 WHERE c.client_id IS NOT NULL
   AND (c.used_at IS NULL) <> (c.session_id IS NULL);

-- check: a session comes from one code
SELECT c.session_id, count(*) || ' codes gave this session'
  FROM public.gpt_authorization_codes AS c
 WHERE c.session_id IS NOT NULL
 GROUP BY c.session_id
HAVING count(*) > 1;

-- check: a session is what its code consented to
SELECT s.id, 'differs from its code ' || c.id
  FROM public.gpt_authorization_codes AS c
  JOIN public.gpt_sessions AS s ON s.id = c.session_id
 WHERE (s.clerk_user_id, s.client_id, s.scope, s.resource, s.data)
       IS DISTINCT FROM (c.clerk_user_id, c.client_id, c.scope, c.resource, c.data)
    OR s.created_at IS DISTINCT FROM c.used_at;

-- check: a code was used before it expired
SELECT c.id, 'used at ' || c.used_at || ', expired at ' || c.expires_at
  FROM public.gpt_authorization_codes AS c
 WHERE c.client_id IS NOT NULL AND c.used_at >= c.expires_at;

-- check: a token belongs to the person of its session
SELECT t.id, 'the session ' || s.id || ' is another person''s'
  FROM public.gpt_refresh_tokens AS t
  JOIN public.gpt_sessions AS s ON s.id = t.session_id
 WHERE t.clerk_user_id IS DISTINCT FROM s.clerk_user_id;

-- check: a token has one predecessor
SELECT t.rotated_to, 'the successor of ' || count(*) || ' tokens'
  FROM public.gpt_refresh_tokens AS t
 WHERE t.rotated_to IS NOT NULL
 GROUP BY t.rotated_to
HAVING count(*) > 1;

-- check: a successor is in the session of its predecessor
SELECT t.id, 'its successor ' || n.id || ' is in another session'
  FROM public.gpt_refresh_tokens AS t
  JOIN public.gpt_refresh_tokens AS n ON n.id = t.rotated_to
 WHERE t.session_id IS DISTINCT FROM n.session_id;

-- check: a rotated token was revoked when its successor was issued
SELECT t.id, 'revoked at ' || coalesce(t.revoked_at::text, 'no time') || ', its successor issued at ' || n.created_at
  FROM public.gpt_refresh_tokens AS t
  JOIN public.gpt_refresh_tokens AS n ON n.id = t.rotated_to
 WHERE t.session_id IS NOT NULL
   AND t.revoked_at IS DISTINCT FROM n.created_at;

-- check: a token was rotated before it expired
SELECT t.id, 'rotated at ' || t.revoked_at || ', expired at ' || t.expires_at
  FROM public.gpt_refresh_tokens AS t
 WHERE t.session_id IS NOT NULL AND t.rotated_to IS NOT NULL AND t.revoked_at >= t.expires_at;

-- check: a session has one living token at most, its current one, which is a leaf
SELECT s.id, count(t.id) || ' tokens are current or not revoked; the current one is ' || coalesce(s.refresh_token_id::text, 'none')
  FROM public.gpt_sessions AS s
  LEFT JOIN public.gpt_refresh_tokens AS t ON t.session_id = s.id AND (t.revoked_at IS NULL OR t.id = s.refresh_token_id)
 WHERE s.client_id IS NOT NULL
 GROUP BY s.id
HAVING count(t.id) <> 1 OR bool_or(t.id IS DISTINCT FROM s.refresh_token_id OR t.rotated_to IS NOT NULL);

-- check: an ended session has no living token
SELECT s.id, 'ended at ' || s.ended_at || ', but the token ' || t.id || ' is not revoked'
  FROM public.gpt_sessions AS s
  JOIN public.gpt_refresh_tokens AS t ON t.session_id = s.id AND t.revoked_at IS NULL
 WHERE s.ended_at IS NOT NULL;

-- check: the current token of a session that has not ended is not revoked
SELECT s.id, 'not ended, but its current token ' || t.id || ' is revoked'
  FROM public.gpt_sessions AS s
  JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
 WHERE s.client_id IS NOT NULL AND s.ended_at IS NULL AND t.revoked_at IS NOT NULL;

-- check: no token was issued after its session had ended
SELECT t.id, 'issued at ' || t.created_at || ', its session ended at ' || s.ended_at
  FROM public.gpt_sessions AS s
  JOIN public.gpt_refresh_tokens AS t ON t.session_id = s.id AND t.created_at > s.ended_at
 WHERE s.ended_at IS NOT NULL;

-- check: no token outlives its session
SELECT t.id, 'expires at ' || t.expires_at || ', its session at ' || s.expires_at
  FROM public.gpt_sessions AS s
  JOIN public.gpt_refresh_tokens AS t ON t.session_id = s.id AND t.expires_at > s.expires_at
 WHERE s.expires_at IS NOT NULL;

-- check: an ended session says why, and keeps no nonce
SELECT s.id, CASE WHEN s.successor_nonce IS NOT NULL THEN 'the nonce of its last successor is still there'
                  ELSE 'ended_at and end_reason do not agree' END
  FROM public.gpt_sessions AS s
 WHERE (s.ended_at IS NULL) <> (s.end_reason IS NULL)
    OR (s.ended_at IS NOT NULL AND s.successor_nonce IS NOT NULL);

-- check: an ended session has the event that ended it
SELECT s.id, 'ended at ' || s.ended_at || ' (' || coalesce(s.end_reason, 'no reason') || '), and no event tells of it'
  FROM public.gpt_sessions AS s
 WHERE s.client_id IS NOT NULL
   AND s.ended_at >= (SELECT min(e.created_at) FROM public.gpt_oauth_events AS e)
   AND NOT EXISTS (
       SELECT FROM public.gpt_oauth_events AS e
        WHERE e.session_id = s.id
          AND e.event_type = CASE s.end_reason WHEN 'code_replay' THEN 'code_replay' WHEN 'token_reuse' THEN 'token_reuse'
                                               WHEN 'token_revoke' THEN 'token_revoke' ELSE 'session_end' END);

-- check: a session with an event that ends sessions has ended
SELECT s.id, 'not ended, but there is the event ' || e.id || ' (' || e.event_type || ')'
  FROM public.gpt_oauth_events AS e
  JOIN public.gpt_sessions AS s ON s.id = e.session_id
 WHERE e.event_type IN ('session_end', 'token_revoke', 'token_reuse', 'code_replay')
   AND s.ended_at IS NULL;

-- check: a session has one event of its exchange, and one of its end at most
SELECT s.id, e.exchanges || ' token_exchange events, ' || e.ends || ' events of an end'
  FROM public.gpt_sessions AS s
  CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE e.event_type = 'token_exchange') AS exchanges,
              -- A code may be replayed again and again, so that code_replay is not among them.
              count(*) FILTER (WHERE e.event_type IN ('session_end', 'token_revoke', 'token_reuse')) AS ends
         FROM public.gpt_oauth_events AS e
        WHERE e.session_id = s.id) AS e
 WHERE s.client_id IS NOT NULL
   AND s.created_at >= (SELECT min(e.created_at) FROM public.gpt_oauth_events AS e)
   AND (e.exchanges <> 1 OR e.ends > 1);

-- check: each rotation and each retry has its event
-- There are more rotations than tokens where old generations have been purged.
SELECT s.id, e.rotations || ' token_refresh and ' || e.retries || ' token_retry events, ' || t.tokens || ' tokens, '
             || s.retries || ' retries'
  FROM public.gpt_sessions AS s
  CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE e.event_type = 'token_refresh') AS rotations,
              count(*) FILTER (WHERE e.event_type = 'token_retry') AS retries
         FROM public.gpt_oauth_events AS e
        WHERE e.session_id = s.id) AS e
  CROSS JOIN LATERAL (SELECT count(*) AS tokens FROM public.gpt_refresh_tokens AS t WHERE t.session_id = s.id) AS t
 WHERE s.client_id IS NOT NULL
   AND s.created_at >= (SELECT min(e.created_at) FROM public.gpt_oauth_events AS e)
   AND (e.retries <> s.retries OR e.rotations < t.tokens - 1);

-- check: the chain of a session is not forked
-- Nor was it before its tokens were revoked: each leaf beside the current token is one whose successor has been purged.
SELECT s.id, t.leaves || ' leaves among ' || t.tokens || ' tokens, ' || e.rotations || ' token_refresh events'
  FROM public.gpt_sessions AS s
  CROSS JOIN LATERAL (
       SELECT count(*) AS rotations FROM public.gpt_oauth_events AS e WHERE e.session_id = s.id AND e.event_type = 'token_refresh') AS e
  CROSS JOIN LATERAL (
       SELECT count(*) AS tokens, count(*) FILTER (WHERE t.rotated_to IS NULL) AS leaves
         FROM public.gpt_refresh_tokens AS t
        WHERE t.session_id = s.id) AS t
 WHERE s.client_id IS NOT NULL
   AND s.created_at >= (SELECT min(e.created_at) FROM public.gpt_oauth_events AS e)
   AND t.leaves > 1 + greatest(e.rotations - (t.tokens - 1), 0);

-- check: each code has the event of its issue
SELECT min(c.id::text)::uuid, count(*) || ' codes of the person ' || c.clerk_user_id || ', ' || e.issued || ' authorize events'
  FROM public.gpt_authorization_codes AS c
  CROSS JOIN LATERAL (
       SELECT count(*) AS issued
         FROM public.gpt_oauth_events AS e
        WHERE e.clerk_user_id = c.clerk_user_id AND e.event_type = 'authorize') AS e
 WHERE c.client_id IS NOT NULL
   AND c.created_at >= (SELECT min(e.created_at) FROM public.gpt_oauth_events AS e)
 GROUP BY c.clerk_user_id, e.issued
HAVING count(*) > e.issued;
