-- The people who have an account: login, e-mail verification, preferences and encrypted exchange keys.
-- The e-mail address is compared exactly: two accounts may differ only in case.
CREATE TABLE "user" (
    id                               serial PRIMARY KEY,
    email                            varchar NOT NULL,
    password_hash                    varchar NOT NULL,
    full_name                        varchar,
    encrypted_binance_testnet_key    varchar,
    encrypted_binance_testnet_secret varchar,
    encrypted_binance_mainnet_key    varchar,
    encrypted_binance_mainnet_secret varchar,
    preferred_exchange               varchar NOT NULL,
    preferred_mode                   varchar NOT NULL,
    default_market_type              varchar NOT NULL,
    two_factor_enabled               boolean NOT NULL,
    api_keys_configured              boolean NOT NULL,
    created_at                       timestamp NOT NULL,
    updated_at                       timestamp,
    last_login_at                    timestamp,
    is_active                        boolean NOT NULL,
    is_verified                      boolean NOT NULL,
    verification_token               varchar,
    verification_expires             timestamp,
    reset_token                      varchar,
    reset_expires                    timestamp
);

CREATE UNIQUE INDEX ix_user_email ON "user" (email);
