-- Sequences go on above the largest id
-- In which tables would the next insert meet an id that is taken, or one that a deleted row had?
SELECT s."table", s.next_id, t.largest_id
  FROM (SELECT 'user' AS "table", last_value + is_called::int AS next_id FROM user_id_seq
        UNION ALL SELECT 'usersession', last_value + is_called::int FROM usersession_id_seq
        UNION ALL SELECT 'userexchange', last_value + is_called::int FROM userexchange_id_seq
        UNION ALL SELECT 'botconfig', last_value + is_called::int FROM botconfig_id_seq
        UNION ALL SELECT 'trades', last_value + is_called::int FROM trades_id_seq
        UNION ALL SELECT 'trading_orders', last_value + is_called::int FROM trading_orders_id_seq
        UNION ALL SELECT 'trading_sessions', last_value + is_called::int FROM trading_sessions_id_seq) AS s
  JOIN (SELECT 'user' AS "table", max(id) AS largest_id FROM "user"
        UNION ALL SELECT 'usersession', max(id) FROM usersession
        UNION ALL SELECT 'userexchange', max(id) FROM userexchange
        UNION ALL SELECT 'botconfig', max(id) FROM botconfig
        UNION ALL SELECT 'trades', max(id) FROM trades
        UNION ALL SELECT 'trading_orders', max(id) FROM trading_orders
        UNION ALL SELECT 'trading_sessions', max(id) FROM trading_sessions) AS t USING ("table")
 WHERE s.next_id <= t.largest_id
 ORDER BY 1;
