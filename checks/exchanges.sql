-- A user connects, tests and removes exchanges, each by a name of its own
-- Do the statements of exchange management work, and which users have two exchanges of one name?
INSERT INTO "user" (id, email, password_hash, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified)
VALUES (-1, 'exchanges@outgrow.invalid', '-', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, true);

INSERT INTO userexchange (user_id, exchange_name, connection_name, encrypted_api_key, encrypted_api_secret, is_testnet, status, created_at)
VALUES (-1, 'binance', 'Cuenta ñandú 🏦', 'Z0FBQUFBQg==', 'Z0FBQUFBQw==', true, 'inactive', timezone('utc', now()))
RETURNING id;

-- what a connection test writes
UPDATE userexchange
   SET status = 'active', permissions = '{"can_trade": true, "permissions": ["SPOT"]}',
       last_test_at = timezone('utc', now()), updated_at = timezone('utc', now())
 WHERE user_id = -1;

-- expect-error: 23503
INSERT INTO userexchange (id, user_id, exchange_name, connection_name, is_testnet, status, created_at)
VALUES (-2, -2, 'okx', 'of nobody', true, 'inactive', timezone('utc', now()));

-- expect-error: 23502
INSERT INTO userexchange (id, user_id, exchange_name, is_testnet, status, created_at)
VALUES (-2, -1, 'okx', true, 'inactive', timezone('utc', now()));

-- the model has no unique key here: the application itself looks for the name first
SELECT user_id, min(id) AS id, max(id) AS other_id, 'two exchanges of one name' AS reason
  FROM userexchange GROUP BY user_id, connection_name HAVING count(*) > 1
UNION ALL
SELECT user_id, id, NULL, 'not read back as it was written'
  FROM userexchange
 WHERE user_id = -1
   AND (encrypted_api_key, encrypted_api_secret, connection_name, permissions::json ->> 'can_trade', status)
       IS DISTINCT FROM ('Z0FBQUFBQg==', 'Z0FBQUFBQw==', 'Cuenta ñandú 🏦', 'true', 'active')
 ORDER BY 1, 2;
