-- LOSES DATA: drops every session, token, code and audit event.
-- One statement, because sessions and refresh tokens may refer to each other.
DROP TABLE public.gpt_oauth_events, public.gpt_sessions, public.gpt_authorization_codes, public.gpt_refresh_tokens;
