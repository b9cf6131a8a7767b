DROP FUNCTION public.gpt_touch_sessions_v1(uuid[], bigint);
