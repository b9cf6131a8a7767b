\set n :n + 1
\set k :n - 1
\set t :epoch + :n
\set w random(8000000000000000, 8999999999999999)
SET LOCAL statement_timeout = 5000\; SELECT public.gpt_end_session_v1((SELECT s.id FROM public.gpt_sessions AS s WHERE s.clerk_user_id = 'user_' || md5(':run.:k')), 'sign_out', NULL, ':t-7009-:w')::text AS a;
