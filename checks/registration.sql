-- Registration works, and the new user gets a fresh id
-- Is the id above all that are in use? A token that names an id must never come to name somebody else.
INSERT INTO "user" (email, password_hash, full_name, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified,
                    verification_token, verification_expires)
VALUES ('registration@outgrow.invalid', '$2b$12$' || repeat('.', 53), 'Ñandú 🔑', 'BINANCE', 'TESTNET', 'SPOT',
        false, false, timezone('utc', now()), true, false,
        '00000000-0000-4000-8000-000000000000', timezone('utc', now()) + interval '24 hours')
RETURNING id;

-- expect-error: 23502
INSERT INTO "user" (id, email, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified)
VALUES (-1, 'no-password@outgrow.invalid', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, false);

SELECT id, 'not above the ids in use' AS reason
  FROM "user"
 WHERE email = 'registration@outgrow.invalid'
   AND id <= (SELECT max(id) FROM "user" WHERE email <> 'registration@outgrow.invalid')
UNION ALL
SELECT NULL, 'not found by its token'
 WHERE NOT EXISTS (SELECT FROM "user"
                    WHERE verification_token = '00000000-0000-4000-8000-000000000000'
                      AND verification_expires > timezone('utc', now()) AND full_name = 'Ñandú 🔑');
