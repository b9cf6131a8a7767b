DROP FUNCTION public.gpt_exchange_code_v1(text, text, text, text, boolean, uuid, uuid, text, bigint, bigint, text, text, uuid);
DROP FUNCTION public.gpt_issue_code_v1(uuid, text, text, text, text, text, text, text, jsonb, bigint, text, uuid);
