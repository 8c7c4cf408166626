-- The exchange accounts a user has connected, with their encrypted keys.
-- permissions is JSON that the application reads as text: it must stay varchar.
CREATE TABLE userexchange (
    id                   serial PRIMARY KEY,
    user_id              integer NOT NULL REFERENCES "user" (id),
    exchange_name        varchar NOT NULL,
    connection_name      varchar NOT NULL,
    encrypted_api_key    varchar,
    encrypted_api_secret varchar,
    encrypted_passphrase varchar,
    is_testnet           boolean NOT NULL,
    permissions          varchar,
    status               varchar NOT NULL,
    last_test_at         timestamp,
    error_message        varchar,
    created_at           timestamp NOT NULL,
    updated_at           timestamp
);

CREATE INDEX ix_userexchange_user_id ON userexchange (user_id);
