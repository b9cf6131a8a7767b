DROP FUNCTION public.gpt_append_events_v1(uuid[], text[], text[], text[], uuid[], jsonb[], text[]);
DROP FUNCTION public.gpt_touch_session_v1(uuid, bigint);
DROP FUNCTION public.gpt_end_user_v1(text, text, uuid);
DROP FUNCTION public.gpt_end_sessions_v1(text, text, uuid, text, text);
DROP FUNCTION public.gpt_end_session_v1(uuid, text, text, uuid);
DROP FUNCTION public.gpt_close_session_v1(uuid, text);
DROP FUNCTION public.gpt_new_id_v1(uuid);
