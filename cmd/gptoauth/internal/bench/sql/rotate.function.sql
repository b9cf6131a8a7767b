\set n :n + 1
\set t :epoch + :n
\set x random(1000000000000000000, 9223372036854775807)
\set y random(1000000000000000000, 9223372036854775807)
\set u random(8000000000000000, 8999999999999999)
\set v random(8000000000000000, 8999999999999999)
\set w random(8000000000000000, 8999999999999999)
SET LOCAL statement_timeout = 5000\; SELECT public.gpt_rotate_refresh_token_v1(':a.:b.' || lpad(':run.:client_id', 24, '0'), 'client_1', ':t-7008-:u', ':x.:y.' || lpad(':run.:client_id', 24, '0'), '\x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', 90000000, 2592000000000, NULL, ':t-7009-:w')::text AS a;
\set a :x
\set b :y
