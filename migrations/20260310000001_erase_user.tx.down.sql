DROP FUNCTION public.gpt_erase_user_v1(text, uuid);
DROP INDEX public.idx_gpt_refresh_tokens_no_session;
