-- An e-mail address belongs to one user, and is compared exactly
-- Could one address have two users, or does the database take two addresses for one that the application keeps apart?
INSERT INTO "user" (id, email, password_hash, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified)
VALUES (-1, 'Check@outgrow.invalid', '-', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, true),
       (-2, 'check@outgrow.invalid', '-', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, true);

-- expect-error: 23505
INSERT INTO "user" (id, email, password_hash, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified)
VALUES (-3, 'check@outgrow.invalid', '-', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, true);

SELECT min(id) AS id, 'the address stands twice' AS reason FROM "user" GROUP BY email COLLATE "C" HAVING count(*) > 1
UNION ALL
SELECT id, 'found by an address in capitals' FROM "user" WHERE email = 'CHECK@OUTGROW.INVALID'
UNION ALL
SELECT id, 'not found by its own address' FROM (VALUES (-1, 'Check@outgrow.invalid'), (-2, 'check@outgrow.invalid')) AS u (id, email)
 WHERE (SELECT count(*) FROM "user" WHERE "user".email = u.email AND "user".id = u.id) <> 1;
