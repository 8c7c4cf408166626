-- A session has a token of its own, a user, and ends after it begins
-- Does the database refuse a token twice, a session of nobody, and the removal of a user who still has sessions?
INSERT INTO "user" (id, email, password_hash, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified)
VALUES (-1, 'sessions@outgrow.invalid', '-', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, true);

INSERT INTO usersession (user_id, token_jti, created_at, expires_at, last_used_at, is_active, revoked)
VALUES (-1, 'outgrow-check', timezone('utc', now()), timezone('utc', now()) + interval '24 hours', timezone('utc', now()), true, false)
RETURNING id;

-- expect-error: 23505
INSERT INTO usersession (id, user_id, token_jti, created_at, expires_at, last_used_at, is_active, revoked)
VALUES (-1, -1, 'outgrow-check', timezone('utc', now()), timezone('utc', now()) + interval '1 hour', timezone('utc', now()), true, false);

-- expect-error: 23503
INSERT INTO usersession (id, user_id, token_jti, created_at, expires_at, last_used_at, is_active, revoked)
VALUES (-2, -2, 'outgrow-check-2', timezone('utc', now()), timezone('utc', now()) + interval '1 hour', timezone('utc', now()), true, false);

-- the application's model has no ON DELETE: nothing is removed that nobody asked for
-- expect-error: 23503
DELETE FROM "user" WHERE id = -1;

UPDATE usersession SET is_active = false, revoked = true WHERE token_jti = 'outgrow-check';
DELETE FROM usersession WHERE user_id = -1;
DELETE FROM "user" WHERE id = -1;

SELECT id, user_id, 'ends before it begins' AS reason FROM usersession WHERE expires_at <= created_at ORDER BY id;
