-- No row refers to a row that is not there
-- Which rows lost what they belong to? trades, orders and sessions may name a bot that was deleted: the model has no key there.
SELECT 'usersession' AS "table", id, user_id AS missing_id FROM usersession AS r
 WHERE NOT EXISTS (SELECT FROM "user" WHERE "user".id = r.user_id)
UNION ALL
SELECT 'userexchange', id, user_id FROM userexchange AS r
 WHERE NOT EXISTS (SELECT FROM "user" WHERE "user".id = r.user_id)
UNION ALL
SELECT 'botconfig', id, user_id FROM botconfig AS r
 WHERE NOT EXISTS (SELECT FROM "user" WHERE "user".id = r.user_id)
UNION ALL
SELECT 'botconfig', id, exchange_id FROM botconfig AS r
 WHERE exchange_id IS NOT NULL AND NOT EXISTS (SELECT FROM userexchange AS e WHERE e.id = r.exchange_id)
UNION ALL
SELECT 'trading_operations', NULL, user_id FROM trading_operations AS r
 WHERE NOT EXISTS (SELECT FROM "user" WHERE "user".id = r.user_id)
UNION ALL
SELECT 'trading_operations', NULL, bot_id FROM trading_operations AS r
 WHERE NOT EXISTS (SELECT FROM botconfig AS b WHERE b.id = r.bot_id)
UNION ALL
SELECT 'trading_orders', id, trade_id FROM trading_orders AS r
 WHERE trade_id IS NOT NULL AND NOT EXISTS (SELECT FROM trades AS t WHERE t.id = r.trade_id)
 ORDER BY 1, 2, 3;
