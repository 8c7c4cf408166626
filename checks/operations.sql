-- Bots can record operations, trades and orders
-- Is every status and side that the application writes taken? On its own schema one enum type refuses every operation.
INSERT INTO "user" (id, email, password_hash, preferred_exchange, preferred_mode, default_market_type,
                    two_factor_enabled, api_keys_configured, created_at, is_active, is_verified)
VALUES (-1, 'operations@outgrow.invalid', '-', 'BINANCE', 'TESTNET', 'SPOT', false, false, timezone('utc', now()), true, true);
INSERT INTO botconfig (id, user_id, name, symbol, base_currency, quote_currency, stake, strategy, "interval", take_profit,
                       stop_loss, dca_levels, market_type, max_orders_per_pair, entry_order_type, exit_order_type, tp_order_type,
                       sl_order_type, trailing_stop, max_open_positions, cooldown_minutes, active, status, created_at)
VALUES (-1, -1, 'Bot', 'BTCUSDT', 'USDT', 'BTC', 100, 'Smart Scalper', '15m', 2.5,
        1.5, 3, 'SPOT', 1, 'MARKET', 'MARKET', 'LIMIT', 'STOP_LIMIT', false, 3, 30, true, 'RUNNING', timezone('utc', now()));

INSERT INTO trading_operations (id, bot_id, user_id, symbol, side, quantity, price, strategy, signal, algorithm_used,
                                confidence, pnl, commission, realized_pnl, status, created_at)
VALUES ('outgrow-check-1', -1, -1, 'BTCUSDT', 'BUY', 0.5, 100, 'Smart Scalper', 'RSI<30', 'check', 0.9, 0, 0, 0, 'EXECUTED', timezone('utc', now())),
       ('outgrow-check-2', -1, -1, 'BTCUSDT', 'SELL', 0.5, 110, 'Smart Scalper', 'RSI>70', 'check', 0.9, 5, 0, 5, 'PENDING', timezone('utc', now())),
       ('outgrow-check-3', -1, -1, 'BTCUSDT', 'BUY', 0.5, 90, 'Smart Scalper', 'RSI<30', 'check', 0.9, 0, 0, 0, 'CANCELLED', timezone('utc', now()));

INSERT INTO trades (id, bot_id, symbol, strategy, entry_price, quantity, status, unrealized_pnl, opened_at, total_commission,
                    entry_market_conditions, exit_market_conditions)
SELECT -number, -1, 'BTCUSDT', 'Smart Scalper', 100, 0.5, status, 0, timezone('utc', now()), 0, '{"rsi": 28.5}', 'null'
  FROM unnest(ARRAY['OPEN', 'CLOSED', 'COMPLETED', 'STOP_LOSS_HIT', 'TAKE_PROFIT_HIT']) WITH ORDINALITY AS s (status, number);

INSERT INTO trading_orders (id, bot_id, symbol, side, order_type, quantity, status, filled_quantity, market_price_at_creation,
                            strategy_applied, confidence_level, created_at, commission, commission_asset, trade_id)
VALUES (-1, -1, 'BTCUSDT', 'BUY', 'MARKET', 0.5, 'FILLED', 0.5, 100, 'Smart Scalper', 0.9, timezone('utc', now()), 0, 'USDT', -1),
       (-2, -1, 'BTCUSDT', 'SELL', 'STOP_LIMIT', 0.5, 'PARTIALLY_FILLED', 0.1, 100, 'Smart Scalper', 0.9, timezone('utc', now()), 0, 'USDT', -1);

-- expect-error: 22P02
UPDATE trading_operations SET side = 'HOLD' WHERE bot_id = -1;

-- expect-error: 23503
DELETE FROM botconfig WHERE id = -1;

-- newest first, as the live feed reads them
SELECT id, symbol, side, pnl, status FROM trading_operations
 WHERE user_id = -1 ORDER BY created_at DESC LIMIT 20 OFFSET 0;

SELECT bot_id, 'an operation is missing' AS reason
  FROM (SELECT -1 AS bot_id) AS bot
 WHERE (SELECT count(*) FROM trading_operations AS o WHERE o.bot_id = bot.bot_id) <> 3;
