-- Times are naive
-- Which columns have a time zone, or are no timestamps? The application compares naive times with them, and fails on aware ones.
SELECT w."table", w."column", c.data_type::name AS type
  FROM (VALUES ('user', 'created_at'), ('user', 'updated_at'), ('user', 'last_login_at'), ('user', 'verification_expires'),
               ('user', 'reset_expires'), ('usersession', 'created_at'), ('usersession', 'expires_at'),
               ('usersession', 'last_used_at'), ('userexchange', 'last_test_at'), ('userexchange', 'created_at'),
               ('userexchange', 'updated_at'), ('botconfig', 'created_at'), ('botconfig', 'updated_at'),
               ('botconfig', 'last_trade_at'), ('trading_operations', 'created_at'), ('trading_operations', 'executed_at'),
               ('trades', 'opened_at'), ('trades', 'closed_at'), ('trading_orders', 'created_at'),
               ('trading_orders', 'updated_at'), ('trading_orders', 'filled_at'), ('trading_sessions', 'started_at'),
               ('trading_sessions', 'ended_at')) AS w ("table", "column")
  LEFT JOIN information_schema.columns AS c
    ON c.table_name = w."table" AND c.column_name = w."column" AND c.table_schema = ANY (current_schemas(false))
 WHERE c.data_type IS DISTINCT FROM 'timestamp without time zone';
