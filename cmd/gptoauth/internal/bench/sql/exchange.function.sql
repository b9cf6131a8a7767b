\set n :n + 1
\set t :epoch + :n
\set x random(1000000000000000000, 9223372036854775807)
\set y random(1000000000000000000, 9223372036854775807)
\set u random(8000000000000000, 8999999999999999)
\set v random(8000000000000000, 8999999999999999)
\set w random(8000000000000000, 8999999999999999)
SET LOCAL statement_timeout = 5000\; SELECT public.gpt_exchange_code_v1(md5(':run.:client_id.:n') || md5(':n.:client_id'), 'client_1', 'https://chatgpt.com/aip/g-1/oauth/callback', 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', FALSE, ':t-7001-:v', ':t-7008-:u', ':x.:y.' || lpad(':run.:client_id', 24, '0'), 2592000000000, 31536000000000, NULL, NULL, ':t-7009-:w')::text AS a;
