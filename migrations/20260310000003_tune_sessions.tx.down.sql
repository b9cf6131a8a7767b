ALTER TABLE public.gpt_sessions RESET (fillfactor);
DROP INDEX public.idx_gpt_sessions_user_created_at;
