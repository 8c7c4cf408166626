-- The dashboard answers in time, and with the user's own figures
-- How long do the reads take for the user with the most operations, and whose operations are counted under another user?
SELECT set_config('check.user', coalesce((SELECT user_id FROM trading_operations GROUP BY user_id ORDER BY count(*) DESC LIMIT 1), 0)::text, true),
       set_config('check.bot', coalesce((SELECT bot_id FROM trading_operations GROUP BY bot_id ORDER BY count(*) DESC LIMIT 1), 0)::text, true);

-- budget: 50 ms
SELECT * FROM botconfig WHERE user_id = current_setting('check.user')::int;

-- budget: 50 ms
SELECT * FROM trading_operations
 WHERE user_id = current_setting('check.user')::int AND created_at >= timezone('utc', now()) - interval '30 days';

-- budget: 50 ms
SELECT symbol, sum(pnl), count(*), count(*) FILTER (WHERE pnl > 0) FROM trading_operations
 WHERE user_id = current_setting('check.user')::int AND created_at >= timezone('utc', now()) - interval '30 days'
 GROUP BY symbol;

-- the balance's evolution
-- budget: 50 ms
SELECT created_at, pnl FROM trading_operations
 WHERE user_id = current_setting('check.user')::int AND created_at >= timezone('utc', now()) - interval '365 days'
 ORDER BY created_at;

-- one bot's performance; the dashboard asks once for each bot
-- budget: 50 ms
SELECT * FROM trading_operations
 WHERE bot_id = current_setting('check.bot')::int AND user_id = current_setting('check.user')::int
   AND created_at >= timezone('utc', now()) - interval '7 days';

-- the live feed
-- budget: 50 ms
SELECT * FROM trading_operations
 WHERE user_id = current_setting('check.user')::int ORDER BY created_at DESC LIMIT 50 OFFSET 0;

SELECT o.bot_id, o.user_id, b.user_id AS owner_id, 'operations of another user''s bot' AS reason
  FROM trading_operations AS o JOIN botconfig AS b ON b.id = o.bot_id
 WHERE o.user_id <> b.user_id
 GROUP BY 1, 2, 3
 ORDER BY 1, 2;
