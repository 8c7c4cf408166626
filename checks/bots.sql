-- A bot is created with all that it needs, and belongs to a user
-- Does the application's own insert work, is what is missing refused, and is it read back as it was sent?
INSERT INTO "user" (id, email, password_hash, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified)
VALUES (-1, 'bots@outgrow.invalid', '-', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, true);
INSERT INTO userexchange (id, user_id, exchange_name, connection_name, is_testnet, status, created_at)
VALUES (-1, -1, 'binance', 'bots', true, 'active', timezone('utc', now()));

INSERT INTO botconfig (user_id, exchange_id, name, symbol, base_currency, quote_currency, stake, strategy, "interval",
                       take_profit, stop_loss, dca_levels, risk_percentage, market_type, leverage, margin_type, min_volume,
                       min_entry_price, max_orders_per_pair, entry_order_type, exit_order_type, tp_order_type, sl_order_type,
                       trailing_stop, max_open_positions, cooldown_minutes, active, status, created_at)
VALUES (-1, -1, 'Bot ñandú 🤖', 'BTCUSDT', 'USDT', 'BTC', 100.1, 'Smart Scalper', '15m',
        2.5, 1.5, 3, 1.0, 'FUTURES_USDT', 20, 'ISOLATED', 0.1,
        1e-08, 1, 'MARKET', 'MARKET', 'LIMIT', 'STOP_LIMIT',
        false, 3, 30, true, 'STOPPED', timezone('utc', now()))
RETURNING id;

-- an exchange that does not exist
-- expect-error: 23503
UPDATE botconfig SET exchange_id = -2 WHERE user_id = -1;

-- a user who does not exist
-- expect-error: 23503
UPDATE botconfig SET user_id = -2 WHERE user_id = -1;

-- the database has no defaults, as on SQLite: what the application leaves out is refused, and not made up
-- expect-error: 23502
INSERT INTO botconfig (id, user_id, name, symbol, base_currency, quote_currency, stake, strategy, "interval",
                       take_profit, stop_loss, market_type, entry_order_type, exit_order_type, tp_order_type, sl_order_type,
                       trailing_stop, max_open_positions, cooldown_minutes, created_at)
VALUES (-1, -1, 'Bot', 'BTCUSDT', 'USDT', 'BTC', 100, 'Smart Scalper', '15m',
        2.5, 1.5, 'SPOT', 'MARKET', 'MARKET', 'LIMIT', 'STOP_LIMIT', false, 3, 30, timezone('utc', now()));

UPDATE botconfig SET status = 'RUNNING', updated_at = timezone('utc', now()) WHERE user_id = -1;

SELECT id, 'not read back as it was written' AS reason
  FROM botconfig
 WHERE user_id = -1
   AND (name, stake, min_entry_price, dca_levels, leverage, trailing_stop, status)
       IS DISTINCT FROM ('Bot ñandú 🤖', 100.1::float8, 1e-08::float8, 3, 20, false, 'RUNNING');
