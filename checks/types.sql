-- Columns have the types that the application reads and writes
-- Which columns would it fail on? It parses permissions as text, writes true and false, and does exact arithmetic on doubles.
SELECT w."table", w."column", w.expected, c.data_type::name AS type
  FROM (VALUES ('userexchange', 'permissions', 'character varying'), ('trading_operations', 'trade_metadata', 'character varying'),
               ('trading_operations', 'status', 'character varying'), ('trades', 'status', 'character varying'),
               ('trades', 'entry_market_conditions', 'json'), ('trades', 'exit_market_conditions', 'json'),
               ('trading_sessions', 'strategy_distribution', 'json'), ('trading_sessions', 'symbol_distribution', 'json'),
               ('user', 'two_factor_enabled', 'boolean'), ('user', 'api_keys_configured', 'boolean'),
               ('user', 'is_active', 'boolean'), ('user', 'is_verified', 'boolean'), ('usersession', 'is_active', 'boolean'),
               ('usersession', 'revoked', 'boolean'), ('userexchange', 'is_testnet', 'boolean'),
               ('botconfig', 'trailing_stop', 'boolean'), ('botconfig', 'active', 'boolean'),
               ('botconfig', 'stake', 'double precision'), ('botconfig', 'take_profit', 'double precision'),
               ('botconfig', 'stop_loss', 'double precision'), ('trading_operations', 'quantity', 'double precision'),
               ('trading_operations', 'price', 'double precision'), ('trading_operations', 'pnl', 'double precision')
       ) AS w ("table", "column", expected)
  LEFT JOIN information_schema.columns AS c
    ON c.table_name = w."table" AND c.column_name = w."column" AND c.table_schema = ANY (current_schemas(false))
 WHERE c.data_type IS DISTINCT FROM w.expected;
