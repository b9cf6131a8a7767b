DROP FUNCTION public.gpt_revoke_refresh_token_v1(text, text, text, uuid);
DROP FUNCTION public.gpt_rotate_refresh_token_v1(text, text, uuid, text, bytea, bigint, bigint, text, uuid);
