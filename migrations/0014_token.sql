-- Each registration of an agent revokes the token of the one before: found by its agent, not among all that there ever were.

create index token_agent on fleet.token (agent_id) where registered and revoked_at is null;
