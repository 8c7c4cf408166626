-- Login sessions of a user, one per issued token.
CREATE TABLE usersession (
    id            serial PRIMARY KEY,
    user_id       integer NOT NULL REFERENCES "user" (id),
    token_jti     varchar NOT NULL UNIQUE,
    refresh_token varchar,
    ip_address    varchar,
    user_agent    varchar,
    created_at    timestamp NOT NULL,
    expires_at    timestamp NOT NULL,
    last_used_at  timestamp NOT NULL,
    is_active     boolean NOT NULL,
    revoked       boolean NOT NULL
);

CREATE INDEX ix_usersession_user_id ON usersession (user_id);
